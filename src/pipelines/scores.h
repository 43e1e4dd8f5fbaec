#pragma once
// Arithmetic on the scores that models give.
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "ferry/modeling.h"
#include "ferry/tokenizer.h"

namespace ferry::pipelines {

/// exp(x - max) / sum, in f32 as numpy computes it.
std::vector<float> softmax(std::span<const float> logits);
std::vector<float> sigmoid(std::span<const float> logits);
/// By the name that function_to_apply has: "sigmoid", "softmax" or "none". Errors: Error{usage} for another.
std::vector<float> apply_function(std::string_view function, std::span<const float> logits);
/// The positions of the `count` largest, largest first; equal ones in order.
std::vector<size_t> largest(std::span<const float> values, size_t count);

/// The part of `text` between two code points.
std::string_view code_points(std::string_view text, uint32_t begin, uint32_t end);

/// Throws Error{usage} if `length` tokens are more than config.json's max_position_embeddings allows.
void check_length(const ORTModel& model, size_t length);

/// All logits of a classifier, in f32.
std::vector<float> logits_of(const ORTModelForSequenceClassification& model, const ModelInputs& inputs);

/// One encoding as model inputs [1, S].
ModelInputs single(const BatchEncoding& batch, size_t index);

}  // namespace ferry::pipelines
