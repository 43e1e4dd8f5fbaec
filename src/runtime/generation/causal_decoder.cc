#include "runtime/generation/causal_decoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "base/text.h"
#include "exporter/decoder_cache.h"

namespace ferry::generation {
namespace {
using Rows = std::vector<std::vector<int64_t>>;

const ort::ValueInfo* find(const std::vector<ort::ValueInfo>& infos, std::string_view name) {
  const auto found =
      std::find_if(infos.begin(), infos.end(), [&](const ort::ValueInfo& info) { return info.name == name; });
  return found == infos.end() ? nullptr : &*found;
}

// The last `count` of every row.
std::vector<int64_t> tails(const Rows& rows, size_t count) {
  std::vector<int64_t> out;
  out.reserve(rows.size() * count);
  for (const auto& row : rows) out.insert(out.end(), row.end() - static_cast<ptrdiff_t>(count), row.end());
  return out;
}

Rows gather(const Rows& rows, std::span<const size_t> places) {
  Rows out;
  out.reserve(places.size());
  for (const size_t place : places) out.push_back(rows[place]);
  return out;
}

}  // namespace

void LogitsBuffer::bind(ort::Binding& binding, const ort::Session& session, size_t rows, size_t tokens) {
  const ort::ValueInfo* info = find(session.outputs(), "logits");
  if (info == nullptr || info->axes.size() != 3 || info->axes[2].size <= 0) {
    throw Error(ErrorCode::unsupported,
                info == nullptr ? "the model gives no \"logits\""
                                : fmt::format("the output logits is {}, not [batch, tokens, vocabulary]",
                                              describe(*info)))
        .with_hint("was it exported for another task?");
  }
  // A prompt's logits are many; they are not kept while one token follows another.
  if (tokens < tokens_) memory_ = Buffer();
  dtype_ = info->dtype;
  rows_ = rows;
  tokens_ = tokens;
  vocabulary_ = static_cast<size_t>(info->axes[2].size);
  bytes_ = memory_.take(byte_size(dtype_, rows * tokens * vocabulary_).value_or(0));
  auto view = ort::OrtTensor::view(
      session.runtime(), dtype_,
      {static_cast<int64_t>(rows), static_cast<int64_t>(tokens), info->axes[2].size}, bytes_);
  binding.bind_output("logits", view);
}

std::span<float> LogitsBuffer::last() {
  const size_t size = *byte_size(dtype_, vocabulary_);
  if (dtype_ == DType::f32 && tokens_ == 1)
    return {reinterpret_cast<float*>(bytes_.data()), rows_ * vocabulary_};
  last_.clear();
  for (size_t row = 0; row < rows_; ++row) {
    const auto bytes = bytes_.subspan(((row + 1) * tokens_ - 1) * size, size);
    HostTensor tensor{dtype_, {static_cast<int64_t>(vocabulary_)}, {bytes.begin(), bytes.end()}, {}};
    if (dtype_ != DType::f32) tensor = tensor.to_f32();
    const auto values = std::as_const(tensor).as<float>();
    last_.insert(last_.end(), values.begin(), values.end());
  }
  return last_;
}

IntegerInput::IntegerInput(const ort::Session& session, std::string name)
    : runtime_(session.runtime()), name_(std::move(name)) {
  if (const auto* info = find(session.inputs(), name_)) dtype_ = info->dtype;
}

void IntegerInput::bind(ort::Binding& binding, Dims dims, std::vector<int64_t> values) {
  if (!exists()) return;
  tensor_ = dtype_ == DType::i32 ? HostTensor::i32(std::move(dims), {values.begin(), values.end()})
                                 : HostTensor::i64(std::move(dims), values);
  binding.bind_input(name_, ort::OrtTensor::view(runtime_, tensor_));
}

CausalDecoder::CausalDecoder(const ort::Session& session, Rows mask)
    : session_(session),
      one_row_(session.metadata().count(exporter::kGroupQueryAttention) > 0),
      binding_(session),
      cache_(session, session.metadata().count(exporter::kSharedCache) > 0),
      input_ids_(session, "input_ids"),
      attention_mask_(session, "attention_mask"),
      position_ids_(session, "position_ids"),
      ids_(mask.size()),
      mask_(std::move(mask)),
      positions_(mask_.size()) {
  for (size_t r = 0; r < mask_.size(); ++r) {
    int64_t position = 0;
    // Padding has any position: nothing attends to it.
    for (const int64_t attends : mask_[r]) positions_[r].push_back(attends != 0 ? position++ : 1);
  }
  for (const auto& input : session.inputs()) {
    const bool known = input.name == "input_ids" || input.name == "attention_mask" ||
                       input.name == "position_ids" || input.name == "use_cache_branch" ||
                       starts_with(input.name, "past_key_values");
    if (!known) {
      throw Error(ErrorCode::unsupported,
                  fmt::format("the model's input {} is not known to text generation", printable(input.name)));
    }
  }
}

void CausalDecoder::append(std::span<const int64_t> ids, size_t rows) {
  const size_t tokens = ids.size() / rows;
  length_ += tokens;
  for (size_t r = 0; r < rows; ++r) {
    const auto added = ids.subspan(r * tokens, tokens);
    if (cache_.exists()) ids_[r].clear();
    ids_[r].insert(ids_[r].end(), added.begin(), added.end());
    while (mask_[r].size() < length_) {
      positions_[r].push_back(std::accumulate(mask_[r].begin(), mask_[r].end(), int64_t{0}));
      mask_[r].push_back(1);
    }
  }
}

std::span<float> CausalDecoder::step(std::span<const int64_t> ids, size_t rows) {
  const size_t tokens = ids.size() / rows;
  const bool at_once = !one_row_ || rows == 1 || tokens == 1 || cache_.length() == 0;
  if (at_once) return run(ids, rows);
  std::span<float> logits;
  std::vector<int64_t> column(rows);
  for (size_t t = 0; t < tokens; ++t) {
    for (size_t r = 0; r < rows; ++r) column[r] = ids[r * tokens + t];
    logits = run(column, rows);
  }
  return logits;
}

std::span<float> CausalDecoder::run(std::span<const int64_t> ids, size_t rows) {
  append(ids, rows);
  const size_t tokens = ids_.front().size();
  const Dims dims = {static_cast<int64_t>(rows), static_cast<int64_t>(tokens)};
  const auto first = [&](const Rows& all, size_t count) {
    // Chunks of a prompt see the mask up to their end only.
    Rows out;
    for (const auto& row : all) out.emplace_back(row.begin(), row.begin() + static_cast<ptrdiff_t>(length_));
    return tails(out, count);
  };
  input_ids_.bind(binding_, dims, tails(ids_, tokens));
  attention_mask_.bind(binding_, {dims[0], static_cast<int64_t>(length_)}, first(mask_, length_));
  if (position_ids_.exists()) position_ids_.bind(binding_, dims, first(positions_, tokens));
  if (find(session_.inputs(), "use_cache_branch") != nullptr) {
    use_cache_branch_ = HostTensor::boolean({1}, {cache_.length() > 0});
    binding_.bind_input("use_cache_branch", ort::OrtTensor::view(session_.runtime(), use_cache_branch_));
  }
  cache_.bind(binding_, rows, tokens);
  logits_.bind(binding_, session_, rows, tokens);
  binding_.run();
  cache_.advance(rows, tokens);
  return logits_.last();
}

void CausalDecoder::reorder(std::span<const size_t> rows) {
  bool same = rows.size() == mask_.size();
  for (size_t r = 0; same && r < rows.size(); ++r) same = rows[r] == r;
  if (same) return;
  cache_.reorder(rows);
  ids_ = gather(ids_, rows);
  mask_ = gather(mask_, rows);
  positions_ = gather(positions_, rows);
}

}  // namespace ferry::generation
