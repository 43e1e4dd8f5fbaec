#include "ferry/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "exporter/model_files.h"
#include "runtime/compare/agreement.h"
#include "runtime/compare/layers.h"
#include "runtime/compare/metrics.h"
#include "runtime/compare/run.h"
#include "runtime/compare/weights.h"
#include "runtime/model_impl.h"

namespace ferry {
namespace {
namespace fs = std::filesystem;
using runtime::ModelFile;
using runtime::Sample;
using Clock = std::chrono::steady_clock;

constexpr size_t kTimedSamples = 16;
constexpr size_t kLayerSamples = 8;
constexpr double kMostTimingSeconds = 60;

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Evenly spread, at most `most`.
std::vector<Sample> some_of(const std::vector<Sample>& samples, size_t most) {
  if (samples.size() <= most) return samples;
  std::vector<Sample> out;
  for (size_t i = 0; i < most; ++i) out.push_back(samples[i * samples.size() / most]);
  return out;
}

std::string shown(const fs::path& file) {
  return printable(file.string(), 1000);
}

std::set<std::string> names_of(const std::vector<ort::ValueInfo>& infos) {
  std::set<std::string> out;
  for (const auto& info : infos) out.insert(info.name);
  return out;
}

void require_same(const char* what, const std::vector<ort::ValueInfo>& a, const fs::path& file_a,
                  const std::vector<ort::ValueInfo>& b, const fs::path& file_b) {
  const auto of_a = names_of(a), of_b = names_of(b);
  const auto lacks = [](const std::set<std::string>& some, const std::set<std::string>& other) {
    std::vector<std::string> out;
    for (const auto& name : some) {
      if (other.count(name) == 0) out.push_back(printable(name));
    }
    return out;
  };
  std::vector<std::string> parts;
  if (const auto only = lacks(of_a, of_b); !only.empty())
    parts.push_back(fmt::format("only {} has {}", shown(file_a), join(only)));
  if (const auto only = lacks(of_b, of_a); !only.empty())
    parts.push_back(fmt::format("only {} has {}", shown(file_b), join(only)));
  if (parts.empty()) return;
  throw Error(ErrorCode::usage, fmt::format("the models differ in their {}: {}", what, join(parts, "; ")))
      .with_hint("only models with the same inputs and outputs can be compared");
}

// Opened twice: the first time reads the file from the disk.
struct Loaded {
  std::optional<ort::Session> session;
  double milliseconds = 0;

  void load(const ort::Runtime& runtime, const fs::path& file, const ort::SessionOptions& options) {
    session.reset();
    const auto start = Clock::now();
    with_context(shown(file), [&] { session.emplace(runtime, file, options); });
    const double took = milliseconds_since(start);
    milliseconds = milliseconds == 0 ? took : std::min(milliseconds, took);
  }
};

class Comparison {
 public:
  Comparison(const fs::path& a, const fs::path& b, const CompareOptions& options)
      : options_(options),
        log_(options.load.log != nullptr ? *options.load.log : Log{}),
        a_(runtime::open_model_file(a, options.load)),
        b_(runtime::open_model_file(b, options.load)),
        runtime_(runtime::open_runtime(options.load)),
        session_options_(runtime::turn_taking(options.load, runtime_)) {}

  ComparisonReport run() {
    load();
    require_same("inputs", session_a().inputs(), a_.file, session_b().inputs(), b_.file);
    require_same("outputs", session_a().outputs(), a_.file, session_b().outputs(), b_.file);
    read_samples();
    measure_errors();
    measure_latency();
    if (options_.weights) report_.weights = runtime::count_weights(a_.graph, b_.graph);
    if (options_.layers) measure_layers();
    return std::move(report_);
  }

 private:
  [[nodiscard]] const ort::Session& session_a() const { return *loaded_a_.session; }
  [[nodiscard]] const ort::Session& session_b() const { return *loaded_b_.session; }

  void load() {
    for (int time = 0; time < 2; ++time) {
      loaded_a_.load(runtime_, a_.file, session_options_);
      loaded_b_.load(runtime_, b_.file, session_options_);
    }
    describe(report_.a, a_, loaded_a_);
    describe(report_.b, b_, loaded_b_);
  }

  static void describe(ComparedModel& out, const ModelFile& model, const Loaded& loaded) {
    out.file = model.file;
    out.bytes = exporter::stored_bytes(model.file, model.graph);
    out.nodes = model.graph.nodes().size();
    out.load_ms = loaded.milliseconds;
  }

  void read_samples() {
    runtime::SampleOptions reading;
    reading.max_samples = options_.max_samples;
    reading.max_length = options_.max_length;
    const bool of_a = a_.config != "{}";
    samples_ = runtime::samples_for(a_, of_a ? a_.folder : b_.folder, options_.input, reading, log_);
    report_.samples = samples_.size();
    report_.input = options_.input;
  }

  void measure_errors() {
    std::map<std::string, runtime::ErrorSum> sums;
    std::optional<runtime::AgreementCounter> agreement;
    if (!options_.input.empty()) {
      agreement = runtime::AgreementCounter::for_model(session_a().outputs(),
                                                       a_.config != "{}" ? a_.config : b_.config);
    }
    for (size_t i = 0; i < samples_.size(); ++i) {
      const auto from_a = runtime::named_outputs(session_a(), samples_[i]);
      const auto from_b = runtime::named_outputs(session_b(), samples_[i]);
      for (const auto& output : from_a) {
        const std::string& name = output.first;
        with_context(fmt::format("output \"{}\"", printable(name)),
                     [&] { sums[name].add(output.second, from_b.at(name), runtime::holds_logits(name)); });
      }
      if (agreement) agreement->add(samples_[i], from_a, from_b);
    }
    for (const auto& output : session_a().outputs()) {
      if (!sums[output.name].empty()) report_.outputs.push_back({output.name, sums[output.name].figures()});
    }
    if (agreement && agreement->result().total > 0) report_.agreement = agreement->result();
  }

  void measure_latency() {
    const auto samples = some_of(samples_, kTimedSamples);
    const auto start = Clock::now();
    const auto time = [](const ort::Session& session, const Sample& sample, ComparedModel& out) {
      const auto begin = Clock::now();
      static_cast<void>(runtime::run_on(session, sample));
      out.latencies_ms.push_back(milliseconds_since(begin));
    };
    bool enough = false;
    for (int run = 0; run < std::max(1, options_.runs) && !enough; ++run) {
      for (const Sample& sample : samples) {
        if (enough) break;
        // The first of a pair may meet a colder processor: they take turns.
        if (run % 2 == 0) time(session_a(), sample, report_.a);
        time(session_b(), sample, report_.b);
        if (run % 2 == 1) time(session_a(), sample, report_.a);
        enough = milliseconds_since(start) > kMostTimingSeconds * 1e3;
      }
    }
    report_.a.latency_ms = median(report_.a.latencies_ms);
    report_.b.latency_ms = median(report_.b.latencies_ms);
  }

  void measure_layers() {
    loaded_a_.session.reset();  // Two others are opened: their memory first.
    loaded_b_.session.reset();
    report_.layers = runtime::compare_layers(runtime_, a_.file, a_.graph, b_.file, b_.graph,
                                             some_of(samples_, kLayerSamples), session_options_, log_);
  }

  const CompareOptions& options_;
  Log log_;
  ModelFile a_, b_;
  ort::Runtime runtime_;
  ort::SessionOptions session_options_;
  Loaded loaded_a_, loaded_b_;
  std::vector<Sample> samples_;
  ComparisonReport report_;
};

}  // namespace

ComparisonReport compare_models(const fs::path& a, const fs::path& b, const CompareOptions& options) {
  return Comparison(a, b, options).run();
}

}  // namespace ferry
