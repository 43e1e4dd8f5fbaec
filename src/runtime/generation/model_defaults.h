#pragma once
// What transformers' configuration classes say of generation where a config.json leaves it out: a
// configuration inside another is written without what its class says anyway.
#include <nlohmann/json_fwd.hpp>
#include <string_view>

namespace ferry::generation {

/// {"eos_token_id": 2, ...} of a decoder of composites by its model type; empty for others.
/// Source: transformers 4.57.6, models/*/configuration_*.py.
nlohmann::ordered_json model_defaults(std::string_view model_type);

}  // namespace ferry::generation
