#pragma once
// Which token pads, for models whose graphs have to know.
#include "exporter/model_source.h"

namespace ferry::exporter {

/// The configuration of a classifier of texts with a "pad_token_id": `asked`, else its own, else that of the
/// tokenizer beside it. Where none of them knows, it stays without, and a definition that needs it says so.
/// Source: optimum-onnx 0.1.0 exporters/onnx/__main__.py.
void complete_pad_token(ModelSource& source, const std::string& task, std::optional<int64_t> asked,
                        const Log& log);

}  // namespace ferry::exporter
