#include "runtime/generation/seq2seq_decoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/text.h"
#include "runtime/model_impl.h"

namespace ferry::generation {
namespace {
constexpr std::string_view kPast = "past_key_values", kPresent = "present";

// Row r of the result is row rows[r] of the tensor.
HostTensor gathered(const HostTensor& tensor, std::span<const size_t> rows) {
  if (tensor.dims.empty() || tensor.dims[0] == 0) return tensor;
  Dims dims = tensor.dims;
  dims[0] = static_cast<int64_t>(rows.size());
  HostTensor out = HostTensor::zeros(tensor.dtype, dims);
  const size_t size = tensor.bytes.size() / static_cast<size_t>(tensor.dims[0]);
  for (size_t r = 0; r < rows.size(); ++r)
    std::memcpy(out.bytes.data() + r * size, tensor.bytes.data() + rows[r] * size, size);
  return out;
}

// What a graph with both branches takes while there is no cache: it is not looked at.
HostTensor no_past(const ort::ValueInfo& declared, int64_t rows) {
  Dims dims;
  for (size_t axis = 0; axis < declared.axes.size(); ++axis)
    dims.push_back(axis == 0 ? rows : std::max<int64_t>(declared.axes[axis].size, 1));
  return HostTensor::zeros(declared.dtype, dims);
}

}  // namespace

Seq2SeqDecoder::Seq2SeqDecoder(DecoderSessions sessions, HostTensor states, HostTensor mask)
    : sessions_(sessions),
      states_(std::move(states)),
      mask_(std::move(mask)),
      ids_(static_cast<size_t>(states_.dims.at(0))) {}

HostTensor Seq2SeqDecoder::input(const ort::ValueInfo& declared, const HostTensor& ids,
                                 bool uses_cache) const {
  const std::string& name = declared.name;
  if (name == "input_ids" || name == "decoder_input_ids") return runtime::in_dtype(ids, declared.dtype);
  if (name == "encoder_hidden_states") return runtime::in_dtype(states_, declared.dtype);
  if (name == "encoder_attention_mask" && !mask_.dims.empty())
    return runtime::in_dtype(mask_, declared.dtype);
  if (name == "use_cache_branch") return HostTensor::boolean({1}, {uses_cache});
  if (starts_with(name, kPast)) {
    const auto found = cache_.find(name);
    if (found != cache_.end()) return found->second;
    if (!uses_cache) return no_past(declared, ids.dims[0]);
  }
  throw Error(ErrorCode::unsupported,
              fmt::format("the decoder's input {} is not known to generation", printable(name)));
}

// The encoder's keys and values come once: later results of that name are empty.
void Seq2SeqDecoder::keep(const std::string& present, HostTensor value) {
  const std::string past = std::string(kPast) + present.substr(kPresent.size());
  const bool of_encoder = present.find(".encoder.") != std::string::npos;
  if (!of_encoder || cache_.count(past) == 0) cache_[past] = std::move(value);
}

std::span<float> Seq2SeqDecoder::step(std::span<const int64_t> ids, size_t rows) {
  const bool caches = sessions_.merged || sessions_.with_past != nullptr;
  const bool uses_cache = caches && !cache_.empty();
  const size_t added = ids.size() / rows;
  for (size_t r = 0; r < rows; ++r) {
    if (caches) ids_[r].clear();
    ids_[r].insert(ids_[r].end(), ids.begin() + static_cast<ptrdiff_t>(r * added),
                   ids.begin() + static_cast<ptrdiff_t>((r + 1) * added));
  }
  std::vector<int64_t> all;
  for (const auto& row : ids_) all.insert(all.end(), row.begin(), row.end());
  const HostTensor now =
      HostTensor::i64({static_cast<int64_t>(rows), static_cast<int64_t>(all.size() / rows)}, all);

  const ort::Session& session = uses_cache && !sessions_.merged ? *sessions_.with_past : *sessions_.decoder;
  std::vector<ort::NamedTensor> feeds;
  for (const auto& declared : session.inputs())
    feeds.emplace_back(declared.name, input(declared, now, uses_cache));
  auto results = session.run(feeds);
  for (size_t i = 0; i < results.size(); ++i) {
    const std::string& name = session.outputs()[i].name;
    if (caches && starts_with(name, kPresent)) keep(name, std::move(results[i]));
    if (name != "logits") continue;
    const HostTensor logits = results[i].to_f32();
    const auto tokens = static_cast<size_t>(logits.dims.at(1)),
               width = static_cast<size_t>(logits.dims.at(2));
    logits_.resize(rows * width);
    for (size_t r = 0; r < rows; ++r)
      std::copy_n(logits.as<float>().data() + ((r + 1) * tokens - 1) * width, width,
                  logits_.data() + r * width);
  }
  if (logits_.empty()) throw Error(ErrorCode::unsupported, "the decoder gives no \"logits\"");
  return logits_;
}

void Seq2SeqDecoder::reorder(std::span<const size_t> rows) {
  states_ = gathered(states_, rows);
  mask_ = gathered(mask_, rows);
  for (auto& [name, value] : cache_) value = gathered(value, rows);
  std::vector<std::vector<int64_t>> ids;
  for (const size_t row : rows) ids.push_back(ids_[row]);
  ids_ = std::move(ids);
}

}  // namespace ferry::generation
