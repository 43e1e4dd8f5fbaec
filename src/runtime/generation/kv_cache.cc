#include "runtime/generation/kv_cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "base/error.h"
#include "base/text.h"

namespace ferry::generation {
namespace {
constexpr std::string_view kPast = "past_key_values";

const ort::ValueInfo* find(const std::vector<ort::ValueInfo>& infos, const std::string& name) {
  const auto found =
      std::find_if(infos.begin(), infos.end(), [&](const ort::ValueInfo& info) { return info.name == name; });
  return found == infos.end() ? nullptr : &*found;
}

void check_layout(const ort::ValueInfo& past) {
  const auto& axes = past.axes;
  const bool known = axes.size() == 4 && axes[0].size < 0 && axes[1].size > 0 && axes[2].size < 0 &&
                     axes[3].size > 0 && byte_size(past.dtype, 1).has_value();
  if (known) return;
  throw Error(ErrorCode::unsupported,
              fmt::format("the cache {} is {}, not [batch, heads, tokens, size] with fixed heads and size",
                          printable(past.name), describe(past)))
      .with_hint("export the model again");
}

void check_pair(const ort::ValueInfo& past, const std::string& name, const ort::ValueInfo* present) {
  if (present == nullptr) {
    throw Error(ErrorCode::invalid_file,
                fmt::format("the model takes {} and gives no {}", printable(past.name), printable(name)));
  }
  bool fits = present->dtype == past.dtype && (present->axes.empty() || present->axes.size() == 4);
  for (const size_t axis : {size_t{1}, size_t{3}}) {
    if (fits && !present->axes.empty() && present->axes[axis].size >= 0)
      fits = present->axes[axis].size == past.axes[axis].size;
  }
  if (!fits) {
    throw Error(ErrorCode::shape_mismatch,
                fmt::format("the cache {} is {}, and {} is {}", printable(past.name), describe(past),
                            printable(name), describe(*present)))
        .with_hint("these belong to different models");
  }
}

}  // namespace

std::span<std::byte> Buffer::take(size_t bytes) {
  if (bytes > size_) {
    // Room for what comes, so that most steps allocate nothing.
    size_ = std::max(bytes + bytes / 2, size_t{1} << 14);
    memory_.reset();
    memory_ = std::unique_ptr<std::byte[]>(new std::byte[size_]);
  }
  return {memory_.get(), bytes};
}

KvCache::KvCache(const ort::Session& session, bool shared) : runtime_(session.runtime()), shared_(shared) {
  for (const auto& input : session.inputs()) {
    if (!starts_with(input.name, kPast)) continue;
    check_layout(input);
    const std::string present = "present" + input.name.substr(kPast.size());
    check_pair(input, present, find(session.outputs(), present));
    entries_.push_back({input.name, present, input.dtype, input.axes[1].size, input.axes[3].size, {}});
  }
}

size_t KvCache::bytes_of(const Entry& entry, size_t rows, size_t tokens) const {
  const auto elements = rows * tokens * static_cast<size_t>(entry.heads * entry.size);
  return *byte_size(entry.dtype, elements);
}

ort::OrtTensor KvCache::view(Entry& entry, size_t side, size_t rows, size_t tokens) {
  return ort::OrtTensor::view(
      runtime_, entry.dtype,
      {static_cast<int64_t>(rows), entry.heads, static_cast<int64_t>(tokens), entry.size},
      entry.buffers[side].take(bytes_of(entry, rows, tokens)));
}

void KvCache::make_room(size_t rows, size_t tokens) {
  constexpr size_t kLeast = 32;
  if (tokens <= room_) return;
  const size_t room = std::max(kLeast, tokens + tokens / 2);
  if (length_ > 0) {
    std::vector<size_t> same(rows);
    std::iota(same.begin(), same.end(), size_t{0});
    move(same, room);
    for (Entry& entry : entries_) entry.buffers[1 - side_] = Buffer();
  }
  room_ = room;
}

void KvCache::bind(ort::Binding& binding, size_t rows, size_t tokens) {
  if (shared_) make_room(rows, length_ + tokens);
  for (Entry& entry : entries_) {
    binding.bind_input(entry.past, view(entry, side_, rows, pitch()));
    auto present = shared_ ? view(entry, side_, rows, room_) : view(entry, 1 - side_, rows, length_ + tokens);
    binding.bind_output(entry.present, present);
  }
}

void KvCache::advance(size_t rows, size_t tokens) {
  if (!shared_) side_ = 1 - side_;
  rows_ = rows;
  length_ += tokens;
}

void KvCache::reorder(std::span<const size_t> rows) {
  move(rows, pitch());
}

void KvCache::move(std::span<const size_t> rows, size_t to_pitch) {
  for (Entry& entry : entries_) {
    const auto heads = static_cast<size_t>(entry.heads);
    const size_t head = bytes_of(entry, 1, length_) / heads;
    const size_t from_step = bytes_of(entry, 1, pitch()) / heads,
                 to_step = bytes_of(entry, 1, to_pitch) / heads;
    const auto from = entry.buffers[side_].take(from_step * heads * rows_);
    const auto to = entry.buffers[1 - side_].take(to_step * heads * rows.size());
    for (size_t r = 0; r < rows.size(); ++r) {
      for (size_t h = 0; h < heads; ++h)
        std::memcpy(to.data() + (r * heads + h) * to_step, from.data() + (rows[r] * heads + h) * from_step,
                    head);
    }
  }
  side_ = 1 - side_;
  rows_ = rows.size();
}

}  // namespace ferry::generation
