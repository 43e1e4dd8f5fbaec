#include "runtime/generation/seq2seq_decoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <numeric>

#include "base/error.h"
#include "base/text.h"
#include "runtime/model_impl.h"

namespace ferry::generation {
namespace {
constexpr std::string_view kPast = "past_key_values", kPresent = "present";
constexpr const char* kStates = "encoder_hidden_states";
constexpr const char* kMask = "encoder_attention_mask";

bool is_of_encoder(const std::string& name) {
  return name.find(".encoder.") != std::string::npos;
}

// Row r of the result is row rows[r] of the tensor.
ort::OrtTensor gathered(const ort::Runtime& runtime, const ort::OrtTensor& tensor,
                        std::span<const size_t> rows) {
  Dims dims = tensor.dims();
  const auto before = static_cast<size_t>(dims.at(0));
  dims[0] = static_cast<int64_t>(rows.size());
  ort::OrtTensor out = ort::OrtTensor::allocate(runtime, tensor.dtype(), dims);
  const auto from = tensor.bytes();
  const auto to = out.mutable_bytes();
  const size_t size = from.size() / std::max<size_t>(before, 1);
  for (size_t r = 0; r < rows.size(); ++r)
    std::memcpy(to.data() + r * size, from.data() + rows[r] * size, size);
  return out;
}

// What a graph with both branches takes while there is no cache: it is not looked at.
ort::OrtTensor no_past(const ort::Runtime& runtime, const ort::ValueInfo& declared, size_t rows) {
  Dims dims;
  for (size_t axis = 0; axis < declared.axes.size(); ++axis)
    dims.push_back(axis == 0 ? static_cast<int64_t>(rows) : std::max<int64_t>(declared.axes[axis].size, 1));
  ort::OrtTensor out = ort::OrtTensor::allocate(runtime, declared.dtype, dims);
  std::fill_n(out.mutable_bytes().begin(), out.bytes().size(), std::byte{0});
  return out;
}

// `tensor` in the dtype in which one of the graphs declares the input `name`.
HostTensor as_declared(const DecoderSessions& sessions, const std::string& name, HostTensor tensor) {
  for (const ort::Session* session : {sessions.decoder, sessions.with_past}) {
    if (session == nullptr) continue;
    for (const auto& input : session->inputs()) {
      if (input.name == name && input.dtype != tensor.dtype) return runtime::in_dtype(tensor, input.dtype);
      if (input.name == name) return tensor;
    }
  }
  return tensor;
}

}  // namespace

Seq2SeqDecoder::Seq2SeqDecoder(DecoderSessions sessions, HostTensor states, HostTensor mask)
    : sessions_(sessions),
      states_memory_(as_declared(sessions, kStates, std::move(states))),
      mask_memory_(mask.dims.empty() ? HostTensor() : as_declared(sessions, kMask, std::move(mask))),
      states_(ort::OrtTensor::view(sessions.decoder->runtime(), states_memory_)),
      origins_(static_cast<size_t>(states_memory_.dims.at(0))),
      ids_(origins_.size()) {
  if (!mask_memory_.dims.empty()) mask_ = ort::OrtTensor::view(sessions.decoder->runtime(), mask_memory_);
  std::iota(origins_.begin(), origins_.end(), size_t{0});
}

const ort::OrtTensor* Seq2SeqDecoder::kept_input(const std::string& name) const {
  if (name == kStates) return &states_;
  if (name == kMask) return mask_ ? &mask_ : nullptr;
  const auto found = cache_.find(name);
  return found == cache_.end() ? nullptr : &found->second;
}

ort::OrtTensor Seq2SeqDecoder::made_input(const ort::ValueInfo& declared, size_t rows,
                                          bool uses_cache) const {
  const ort::Runtime& runtime = sessions_.decoder->runtime();
  if (declared.name == "use_cache_branch") {
    ort::OrtTensor out = ort::OrtTensor::allocate(runtime, DType::boolean, {1});
    out.mutable_bytes()[0] = std::byte{uses_cache};
    return out;
  }
  if (starts_with(declared.name, kPast) && !uses_cache) return no_past(runtime, declared, rows);
  throw Error(ErrorCode::unsupported,
              fmt::format("the decoder's input {} is not known to generation", printable(declared.name)));
}

// The encoder's keys and values come once: later results of that name are empty.
void Seq2SeqDecoder::keep(const std::string& present, ort::OrtTensor value) {
  const std::string past = std::string(kPast) + present.substr(kPresent.size());
  if (!is_of_encoder(present) || cache_.count(past) == 0) cache_[past] = std::move(value);
}

HostTensor Seq2SeqDecoder::append(std::span<const int64_t> ids, size_t rows) {
  const size_t added = ids.size() / rows;
  std::vector<int64_t> all;
  for (size_t r = 0; r < rows; ++r) {
    const auto next = ids.subspan(r * added, added);
    if (caches()) ids_[r].clear();
    ids_[r].insert(ids_[r].end(), next.begin(), next.end());
    all.insert(all.end(), ids_[r].begin(), ids_[r].end());
  }
  return HostTensor::i64({static_cast<int64_t>(rows), static_cast<int64_t>(all.size() / rows)}, all);
}

std::span<float> Seq2SeqDecoder::step(std::span<const int64_t> ids, size_t rows) {
  const bool uses_cache = caches() && !cache_.empty();
  HostTensor tokens = append(ids, rows);
  const ort::Session& session = uses_cache && !sessions_.merged ? *sessions_.with_past : *sessions_.decoder;
  std::deque<ort::OrtTensor> made;  // Feeds point to them.
  std::vector<ort::Session::Feed> feeds;
  for (const auto& declared : session.inputs()) {
    const std::string& name = declared.name;
    const ort::OrtTensor* tensor = kept_input(name);
    if (name == "input_ids" || name == "decoder_input_ids") {
      if (tokens.dtype != declared.dtype) tokens = runtime::in_dtype(tokens, declared.dtype);
      tensor = &made.emplace_back(ort::OrtTensor::view(session.runtime(), tokens));
    } else if (tensor == nullptr) {
      tensor = &made.emplace_back(made_input(declared, rows, uses_cache));
    }
    feeds.push_back({name, tensor});
  }
  auto results = session.run(feeds);
  ort::OrtTensor logits;
  for (size_t i = 0; i < results.size(); ++i) {
    const std::string& name = session.outputs()[i].name;
    if (name == "logits") logits = std::move(results[i]);
    if (caches() && starts_with(name, kPresent)) keep(name, std::move(results[i]));
  }
  if (!logits) throw Error(ErrorCode::unsupported, "the decoder gives no \"logits\"");
  return last_logits(std::move(logits), rows);
}

std::span<float> Seq2SeqDecoder::last_logits(ort::OrtTensor logits, size_t rows) {
  const auto tokens = static_cast<size_t>(logits.dims().at(1)),
             width = static_cast<size_t>(logits.dims().at(2));
  if (logits.dtype() == DType::f32 && tokens == 1) {
    held_logits_ = std::move(logits);
    return {reinterpret_cast<float*>(held_logits_.mutable_bytes().data()), rows * width};
  }
  const HostTensor all = logits.to_host().to_f32();
  logits_.resize(rows * width);
  for (size_t r = 0; r < rows; ++r)
    std::copy_n(all.as<float>().data() + ((r + 1) * tokens - 1) * width, width, logits_.data() + r * width);
  return logits_;
}

void Seq2SeqDecoder::reorder(std::span<const size_t> rows) {
  std::vector<size_t> same(ids_.size());
  std::iota(same.begin(), same.end(), size_t{0});
  if (std::equal(rows.begin(), rows.end(), same.begin(), same.end())) return;
  std::vector<size_t> origins;
  std::vector<std::vector<int64_t>> ids;
  for (const size_t row : rows) {
    origins.push_back(origins_[row]);
    ids.push_back(ids_[row]);
  }
  // Beams of one input see the same encoder: most orders leave its rows as they are.
  const bool moves_encoder = origins != origins_;
  const ort::Runtime& runtime = sessions_.decoder->runtime();
  for (auto& [name, value] : cache_) {
    if (moves_encoder || !is_of_encoder(name)) value = gathered(runtime, value, rows);
  }
  if (moves_encoder) {
    states_ = gathered(runtime, states_, rows);
    if (mask_) mask_ = gathered(runtime, mask_, rows);
  }
  origins_ = std::move(origins);
  ids_ = std::move(ids);
}

}  // namespace ferry::generation
