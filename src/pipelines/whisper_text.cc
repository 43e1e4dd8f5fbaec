// Source: transformers 4.57.6, models/whisper/tokenization_whisper.py, _decode_asr.
#include "pipelines/whisper_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "runtime/whisper/languages.h"

namespace ferry::pipelines {
namespace {
using Ids = std::vector<int64_t>;

// Python's round(time, 2).
double rounded(double time) {
  return std::stod(fmt::format("{:.2f}", time));
}

// Where the end of `left` and the beginning of `right` overlap best, sliding one over the other; the overlap
// is split in its middle.
struct Overlap {
  size_t left_begin = 0, left_end = 0, right_begin = 0, right_end = 0;
};
Overlap best_overlap(const Ids& left, const Ids& right) {
  Overlap best{left.size(), left.size(), 0, 0};
  double most = 0;
  for (size_t i = 1; i < left.size() + right.size(); ++i) {
    const Overlap at{left.size() > i ? left.size() - i : 0,
                     std::min(left.size(), left.size() + right.size() - i),
                     i > left.size() ? i - left.size() : 0, std::min(right.size(), i)};
    size_t matches = 0;
    for (size_t j = 0; j < at.left_end - at.left_begin; ++j)
      matches += left[at.left_begin + j] == right[at.right_begin + j] ? 1 : 0;
    // A little more for the longer of equally good ones.
    const double quality =
        static_cast<double>(matches) / static_cast<double>(i) + static_cast<double>(i) / 10000.0;
    if (matches > 1 && quality > most) {
      most = quality;
      best = at;
    }
  }
  return best;
}

Ids merged(const std::vector<Ids>& sequences) {
  Ids out, left = sequences.front();
  for (size_t i = 1; i < sequences.size(); ++i) {
    const Ids& right = sequences[i];
    const Overlap at = best_overlap(left, right);
    out.insert(out.end(), left.begin(),
               left.begin() + static_cast<std::ptrdiff_t>((at.left_begin + at.left_end) / 2));
    left.assign(right.begin() + static_cast<std::ptrdiff_t>((at.right_begin + at.right_end) / 2),
                right.end());
  }
  out.insert(out.end(), left.begin(), left.end());
  return out;
}

class Reader {
 public:
  Reader(const WhisperVocabulary& vocabulary, bool timestamps, double time_precision)
      : vocabulary_(vocabulary), timestamps_(timestamps), precision_(time_precision) {}

  void read(const HeardTokens& part) {
    const Ids ids = without_prompt(part.ids);
    begin_part(part, ids);
    for (size_t i = 0; i < ids.size(); ++i) {
      if (vocabulary_.special_ids.count(ids[i]) > 0) {
        read_special(ids[i]);
      } else if (is_time(ids[i])) {
        read_time(ids, i);
      } else {
        current_.push_back(ids[i]);
      }
    }
    end_part(part);
  }

  std::vector<WhisperChunk> finish() {
    if (!previous_.empty()) close_chunk();
    return std::move(chunks_);
  }

 private:
  [[nodiscard]] bool is_time(int64_t id) const { return id >= vocabulary_.timestamp_begin; }
  [[nodiscard]] double seconds(int64_t id) const {
    return static_cast<double>(id - vocabulary_.timestamp_begin) * precision_;
  }

  [[nodiscard]] Ids without_prompt(const Ids& ids) const {
    if (ids.empty() || ids[0] != vocabulary_.start_of_previous) return ids;
    return {std::find(ids.begin(), ids.end(), vocabulary_.start_of_transcript), ids.end()};
  }

  void begin_part(const HeardTokens& part, const Ids& ids) {
    last_time_.reset();
    first_time_ = static_cast<double>(vocabulary_.timestamp_begin);
    latest_ = segments_ = before_latest_ = 0;
    if (!part.stride) return;
    offset_ -= part.stride->left;
    if (part.stride->left != 0)
      first_time_ = part.stride->left / precision_ + static_cast<double>(vocabulary_.timestamp_begin);
    if (part.stride->right == 0) return;
    // The first timestamp within the right stride: from there on the next part hears better.
    const double right_begin = part.stride->length - part.stride->right;
    for (auto id = ids.rbegin(); id != ids.rend(); ++id) {
      if (!is_time(*id)) continue;
      if (last_time_ && seconds(*id) < right_begin) break;
      last_time_ = *id;
    }
  }

  void end_part(const HeardTokens& part) {
    if (part.stride) offset_ += part.stride->length - part.stride->right;
    if (!current_.empty()) {
      previous_.push_back(std::move(current_));
    } else if (std::all_of(previous_.begin(), previous_.end(), [](const Ids& ids) { return ids.empty(); })) {
      chunk_ = new_chunk();
      previous_.clear();
    }
    current_.clear();
  }

  // A language; the others say nothing about the text.
  void read_special(int64_t id) {
    std::string text = vocabulary_.decode(std::span(&id, 1));
    if (!starts_with(text, "<|") || !ends_with(text, "|>") || text.size() < 4) return;
    const auto name = whisper::language_name(text.substr(2, text.size() - 4));
    if (!name) return;
    if (language_ && *language_ != *name && !timestamps_) close_with_current();
    language_ = std::string(*name);
    chunk_.language = language_;
  }

  void read_time(const Ids& ids, size_t at) {
    count_segments(ids, at);
    const double time = rounded(seconds(ids[at]) + offset_ + segments_);
    if (last_time_ && ids[at] >= *last_time_) {
      skip_ = true;  // And the next: timestamps come in pairs.
    } else if (skip_ || (!previous_.empty() && static_cast<double>(ids[at]) < first_time_)) {
      skip_ = false;
    } else if (!chunk_.start) {
      chunk_.start = time;
    } else if (time != *chunk_.start) {  // A repeated one is a beginning.
      chunk_.end = time;
      close_with_current();
    }
  }

  // Timestamps that go back belong to the next segment of a long recording.
  void count_segments(const Ids& ids, size_t at) {
    constexpr double kSegment = 1500;  // Timestamps.
    const double time = seconds(ids[at]);
    if (time < latest_) {
      const bool single_ending = at >= 2 && !(is_time(ids[at - 1]) && is_time(ids[at - 2]));
      if (single_ending) {
        segments_ += precision_ * kSegment;
      } else {
        latest_ = before_latest_;
        segments_ += before_latest_;
      }
    }
    before_latest_ = latest_;
    latest_ = time;
  }

  void close_with_current() {
    previous_.push_back(std::move(current_));
    current_.clear();
    close_chunk();
    previous_.clear();
    chunk_ = new_chunk();
  }

  void close_chunk() {
    chunk_.text = vocabulary_.decode(merged(previous_));
    chunks_.push_back(std::move(chunk_));
  }

  [[nodiscard]] WhisperChunk new_chunk() const {
    WhisperChunk out;
    out.language = language_;
    return out;
  }

  const WhisperVocabulary& vocabulary_;
  bool timestamps_;
  double precision_;
  std::vector<WhisperChunk> chunks_;
  WhisperChunk chunk_;
  std::optional<std::string> language_;
  std::vector<Ids> previous_;  // Of the chunk, one sequence a part.
  Ids current_;
  double offset_ = 0;  // Seconds that the part begins after the recording.
  bool skip_ = false;
  // Of the part.
  std::optional<int64_t> last_time_;
  double first_time_ = 0;
  double latest_ = 0, before_latest_ = 0, segments_ = 0;
};

}  // namespace

std::vector<WhisperChunk> whisper_chunks(std::span<const HeardTokens> parts,
                                         const WhisperVocabulary& vocabulary, bool timestamps,
                                         double time_precision) {
  Reader reader(vocabulary, timestamps, time_precision);
  for (const auto& part : parts) reader.read(part);
  return reader.finish();
}

}  // namespace ferry::pipelines
