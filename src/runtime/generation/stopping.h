#pragma once
// When a sequence ends. Source: transformers 4.57.6, generation/stopping_criteria.py.
#include <span>
#include <string>
#include <vector>

#include "ferry/generation.h"

namespace ferry::generation {

StoppingCriteria max_length_reached(int64_t max_length);
/// Counts from the call on.
StoppingCriteria max_time_passed(double seconds);
StoppingCriteria ends_with_token(std::vector<int64_t> tokens);
/// Its last token completes one of the texts, or runs past its end.
StoppingCriteria ends_with_text(const Tokenizer& tokenizer, std::vector<std::string> texts);

/// What configuration and options ask for. Errors: Error{usage} for stop_strings without a tokenizer.
std::vector<StoppingCriteria> criteria_of(const GenerationConfig& config, const GenerateOptions& options,
                                          int64_t max_length);

}  // namespace ferry::generation
