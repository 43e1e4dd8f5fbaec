#include "runtime/whisper/transcribe.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/text.h"
#include "runtime/whisper/fallback.h"
#include "runtime/whisper/languages.h"

namespace ferry::whisper {
namespace {
using Ids = std::vector<int64_t>;

bool contains_task(const Ids& ids, const Settings& settings) {
  return std::any_of(settings.task_to_id.begin(), settings.task_to_id.end(), [&](const auto& task) {
    return std::find(ids.begin(), ids.end(), task.second) != ids.end();
  });
}

int64_t language_id(const Settings& settings, const std::string& language) {
  const auto direct = settings.lang_to_id.find(to_lower(language));
  if (direct != settings.lang_to_id.end()) return direct->second;
  const auto found = settings.lang_to_id.find("<|" + language_code(language) + "|>");
  if (found != settings.lang_to_id.end()) return found->second;
  std::vector<std::string> known;
  for (const auto& [name, id] : settings.lang_to_id) known.push_back(name);
  throw Error(ErrorCode::usage, fmt::format("this model does not know the language {}", printable(language)))
      .with_hint("it knows " + join(known));
}

int64_t task_id(const Settings& settings, const std::string& task) {
  const auto found = settings.task_to_id.find(task);
  if ((task == "transcribe" || task == "translate") && found != settings.task_to_id.end())
    return found->second;
  throw Error(ErrorCode::usage, fmt::format("this model has no task {}", printable(task)))
      .with_hint("tasks are transcribe and translate");
}

int64_t detect_language(const HostTensor& window, const Settings& settings, const Hearing& hearing) {
  const auto scores = hearing.next_scores(window, {settings.decoder_start_token_id});
  // Of equal ones the first in the vocabulary, as argmax over it.
  std::optional<int64_t> best;
  Ids ids;
  for (const auto& [name, id] : settings.lang_to_id) ids.push_back(id);
  std::sort(ids.begin(), ids.end());
  for (const int64_t id : ids) {
    if (static_cast<size_t>(id) >= scores.size()) {
      throw Error(ErrorCode::invalid_config,
                  fmt::format("generation_config.json: lang_to_id names the token {}, the model has {}", id,
                              scores.size()));
    }
    if (!best || scores[static_cast<size_t>(id)] > scores[static_cast<size_t>(*best)]) best = id;
  }
  return best.value_or(0);
}

// One window from frame `seek` on; zeros where the recording has ended.
HostTensor window_at(const HostTensor& features, int64_t seek, int64_t frames) {
  const int64_t mels = features.dims[1], total = features.dims[2];
  HostTensor out = HostTensor::zeros(DType::f32, {1, mels, frames});
  const auto count = static_cast<size_t>(std::clamp<int64_t>(total - seek, 0, frames)) * sizeof(float);
  for (int64_t m = 0; m < mels; ++m) {
    std::memcpy(out.as<float>().data() + m * frames, features.as<float>().data() + m * total + seek, count);
  }
  return out;
}

// decoder_start_token_id, language, task, and whether there are times.
Ids initial_tokens(const HostTensor& window, const Settings& settings, const TranscribeOptions& options,
                   bool timestamps, const Hearing& hearing) {
  const std::string language = options.language.empty() ? settings.language : options.language;
  const std::string task = options.task.empty() ? settings.task : options.task;
  if (settings.is_multilingual == false && !(options.language.empty() && options.task.empty()))
    throw Error(ErrorCode::usage, "this model knows English alone: it takes neither language nor task");
  std::vector<std::optional<int64_t>> tokens = {settings.decoder_start_token_id};
  if (language.empty() && task.empty())
    tokens.insert(tokens.end(), settings.forced_decoder_ids.begin(), settings.forced_decoder_ids.end());
  const bool undefined = tokens.size() <= 1 || !tokens[1];
  std::optional<int64_t> chosen;
  if (!language.empty()) {
    chosen = language_id(settings, language);
  } else if (!settings.lang_to_id.empty() && undefined) {
    chosen = detect_language(window, settings, hearing);
  }
  if (chosen) {
    if (tokens.size() > 1) {
      tokens[1] = chosen;
    } else {
      tokens.push_back(chosen);
    }
  }
  Ids out;
  for (const auto& token : tokens) {
    if (token) out.push_back(*token);
  }
  if (!task.empty()) {
    out.push_back(task_id(settings, task));
  } else if (!language.empty() && !settings.task_to_id.empty() && !contains_task(out, settings)) {
    out.push_back(task_id(settings, "transcribe"));
  }
  const auto none = settings.no_timestamps_token_id;
  if (!timestamps && none && out.back() != *none) out.push_back(*none);
  if (timestamps && none && out.back() == *none) out.pop_back();
  return out;
}

// Without the end and what pads it.
Ids without_end(Ids ids, const Settings& settings) {
  if (!ids.empty() && ids.back() == settings.pad_token_id) {
    const bool same = settings.pad_token_id == settings.eos_token_id;
    // As many as there are in all: padding stands at the end.
    auto count = static_cast<size_t>(std::count(ids.begin(), ids.end(), settings.pad_token_id));
    if (same) --count;
    ids.resize(ids.size() - std::min(count, ids.size()));
  }
  if (!ids.empty() && ids.back() == settings.eos_token_id) ids.pop_back();
  return ids;
}

// What decides whether a window is heard again.
struct Thresholds {
  std::optional<double> compression_ratio, logprob, no_speech;

  Thresholds(const Settings& settings, const TranscribeOptions& options)
      : compression_ratio(options.compression_ratio_threshold ? options.compression_ratio_threshold
                                                              : settings.compression_ratio_threshold),
        logprob(options.logprob_threshold ? options.logprob_threshold : settings.logprob_threshold),
        no_speech(options.no_speech_threshold ? options.no_speech_threshold : settings.no_speech_threshold) {
    if (no_speech && !logprob)
      throw Error(ErrorCode::usage, "no_speech_threshold needs a logprob_threshold beside it");
  }
};

// How the next window is heard, after the last one.
struct State {
  bool one_beam = false;
  bool condition = false;  // On the text before.
};

struct WindowHeard {
  Ids ids;  // Without the end.
  bool silent = false;
};

// <|nospeech|> stands before <|notimestamps|>. `place`: of decoder_start_token_id in the prompt.
double probability_of_silence(const HostTensor& window, const Ids& prompt, size_t place,
                              const Settings& settings, const Hearing& hearing) {
  const Ids start(prompt.begin(), prompt.begin() + static_cast<std::ptrdiff_t>(place) + 1);
  const auto scores = hearing.next_scores(window, start);
  const int64_t none = settings.no_timestamps_token_id.value_or(0) - 1;
  if (none < 0 || static_cast<size_t>(none) >= scores.size()) {
    throw Error(ErrorCode::invalid_config,
                "generation_config.json: no_speech_threshold needs no_timestamps_token_id");
  }
  return probability(scores, static_cast<size_t>(none));
}

// Padding alone goes: the end token counts in what follows.
Ids without_padding(Ids ids, const Settings& settings) {
  const auto is_padding = [&](int64_t id) { return id == settings.pad_token_id; };
  auto count = static_cast<size_t>(std::count_if(ids.begin(), ids.end(), is_padding));
  if (ids.empty() || !is_padding(ids.back())) count = 0;
  if (count > 0 && settings.pad_token_id == settings.eos_token_id) --count;
  ids.resize(ids.size() - count);
  return ids;
}

WindowHeard hear_window(const HostTensor& window, const Ids& prompt, size_t start, bool timestamps,
                        const Settings& settings, const TranscribeOptions& options, const Hearing& hearing,
                        State& state) {
  const Thresholds thresholds(settings, options);
  const bool condition = options.condition_on_prev_tokens.value_or(settings.condition_on_prev_tokens);
  std::vector<std::optional<double>> temperatures(options.temperature.begin(), options.temperature.end());
  if (temperatures.empty()) temperatures.emplace_back();
  WindowHeard out;
  for (const auto& temperature : temperatures) {
    constexpr double kLow = 0.5;
    state.one_beam = state.one_beam || temperature.value_or(0) > 0;
    const Said said = hearing.generate(
        window, prompt, {timestamps, temperature, state.one_beam, thresholds.logprob.has_value()});
    const Ids ids = without_padding(said.ids, settings);
    out.ids = without_end(said.ids, settings);
    state.condition = condition && temperature.value_or(0) < kLow;
    const bool unsure = thresholds.logprob && said.mean_log_probability < *thresholds.logprob;
    const bool repeats = thresholds.compression_ratio &&
                         compression_ratio(ids, settings.vocab_size) > *thresholds.compression_ratio;
    out.silent = unsure && thresholds.no_speech &&
                 probability_of_silence(window, prompt, start, settings, hearing) > *thresholds.no_speech;
    if (out.silent || !(unsure || repeats)) break;
  }
  return out;
}

struct Heard {
  std::vector<Ids> segments;
  int64_t frames = 0;  // How far to go on.
};

// Cuts at pairs of times. What follows the last pair is heard again, unless the model is done with the
// window.
Heard cut_segments(const Ids& ids, const Settings& settings, int64_t frames) {
  const int64_t begin = settings.timestamp_begin();
  const auto is_time = [&](size_t at) { return ids[at] >= begin; };
  std::vector<size_t> cuts;
  for (size_t i = 1; i < ids.size(); ++i) {
    if (is_time(i - 1) && is_time(i)) cuts.push_back(i);
  }
  if (cuts.empty()) return {{ids}, frames};
  const bool single_ending = is_time(ids.size() - 1) && !is_time(ids.size() - 2);
  if (single_ending) {
    cuts.push_back(ids.size());
  } else {
    ++cuts.back();
  }
  Heard out;
  size_t last = 0;
  for (const size_t cut : cuts) {
    out.segments.emplace_back(ids.begin() + static_cast<std::ptrdiff_t>(last),
                              ids.begin() + static_cast<std::ptrdiff_t>(cut));
    last = cut;
  }
  out.frames = single_ending ? frames : (ids[last - 2] - begin) * Settings::kStride;
  if (out.frames <= 0) out.frames = frames;  // Always onwards.
  return out;
}

// <|startofprev|> and what was heard before, at most as much as leaves room for the rest.
Ids previous_text(const std::vector<Ids>& segments, const Settings& settings) {
  Ids out;
  for (const Ids& segment : segments) {
    const bool pair = segment.size() > 2 && segment[segment.size() - 2] >= settings.timestamp_begin();
    out.insert(out.end(), segment.begin(), segment.end() - (pair ? 1 : 0));
  }
  const auto most = static_cast<size_t>(settings.max_target_positions / 2 - 1);
  if (out.size() > most) out.erase(out.begin(), out.end() - static_cast<std::ptrdiff_t>(most));
  auto start = settings.prev_sot_token_id;
  if (!start && settings.suppress_tokens.size() >= 2)
    start = settings.suppress_tokens[settings.suppress_tokens.size() - 2];
  if (start) out.insert(out.begin(), *start);
  return out;
}

void check_length(size_t prompt, const Settings& settings, const TranscribeOptions& options) {
  const int64_t wanted = options.max_new_tokens.value_or(0) + static_cast<int64_t>(prompt);
  if (wanted <= settings.max_target_positions) return;
  throw Error(
      ErrorCode::usage,
      fmt::format("a prompt of {} tokens and max_new_tokens {} are more than the {} that the model takes",
                  prompt, options.max_new_tokens.value_or(0), settings.max_target_positions));
}

bool wants_timestamps(const Settings& settings, const TranscribeOptions& options, bool long_form) {
  auto wanted = options.return_timestamps ? options.return_timestamps : settings.return_timestamps;
  if (long_form) {
    if (wanted == false) {
      throw Error(ErrorCode::usage, "a recording longer than one window needs timestamps")
          .with_hint("ask for return_timestamps");
    }
    wanted = true;
  }
  if (wanted.value_or(false) && !settings.no_timestamps_token_id)
    throw Error(ErrorCode::invalid_config, "generation_config.json: timestamps need no_timestamps_token_id");
  return wanted.value_or(false);
}

}  // namespace

Ids transcribe(const HostTensor& features, const Settings& settings, const TranscribeOptions& options,
               const Hearing& hearing) {
  if (features.dtype != DType::f32 || features.dims.size() != 3 || features.dims[0] != 1 ||
      features.count() == 0) {
    throw Error(ErrorCode::shape_mismatch,
                "input_features are " + features.describe() + ", expected f32[1, mels, frames]");
  }
  const int64_t total = features.dims[2], window_frames = settings.segment_frames();
  const bool timestamps = wants_timestamps(settings, options, total > window_frames);
  const Ids start =
      initial_tokens(window_at(features, 0, window_frames), settings, options, timestamps, hearing);
  State state;
  state.condition = options.condition_on_prev_tokens.value_or(settings.condition_on_prev_tokens);
  std::vector<Ids> segments;
  for (int64_t seek = 0; seek < total;) {
    Ids prompt = state.condition && !segments.empty() ? previous_text(segments, settings) : Ids();
    const size_t place = prompt.size();
    prompt.insert(prompt.end(), start.begin(), start.end());
    check_length(prompt.size(), settings, options);
    const auto window = hear_window(window_at(features, seek, window_frames), prompt, place, timestamps,
                                    settings, options, hearing, state);
    const int64_t frames = std::min(total - seek, window_frames);
    if (window.silent) {
      seek += frames;
      continue;
    }
    Heard heard = cut_segments(window.ids, settings, frames);
    segments.insert(segments.end(), heard.segments.begin(), heard.segments.end());
    seek += heard.frames;
  }
  Ids out;
  for (const Ids& segment : segments) out.insert(out.end(), segment.begin(), segment.end());
  return out;
}

}  // namespace ferry::whisper
