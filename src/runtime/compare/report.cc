// The comparison as a page.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/temporary_files.h"
#include "base/text.h"
#include "ferry/compare.h"
#include "runtime/compare/svg.h"

namespace ferry {
namespace {
namespace fs = std::filesystem;
using runtime::escaped;

constexpr std::string_view kHead = R"(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>ferry compare</title>
<style>
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #fff; --text: #1c2430; --soft: #5d6879; --rule: #e1e5eb; --band: #f0f3f7;
  --a: #4269d0; --b: #d9702b; --good: #23855b; --bad: #c0392b;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #12161c; --card: #1a2029; --text: #e6eaf0; --soft: #98a3b3; --rule: #2c3542; --band: #212936;
    --a: #7f9cf0; --b: #f0965a; --good: #5cc596; --bad: #f07f72;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 960px; margin: 0 auto; padding: 32px 20px 48px; }
h1 { font-size: 24px; margin: 0 0 4px; font-weight: 650; }
h2 { font-size: 16px; margin: 0 0 12px; font-weight: 650; }
p { margin: 0 0 8px; }
.soft, .note { color: var(--soft); }
.note { font-size: 13px; margin: 10px 0 0; }
.models { margin: 12px 0 20px; display: grid; gap: 4px; overflow-wrap: anywhere; }
.key { display: inline-block; width: 22px; height: 22px; border-radius: 5px; margin-right: 8px; color: #fff;
  text-align: center; font-weight: 650; font-size: 13px; line-height: 22px; }
.key.a { background: var(--a); } .key.b { background: var(--b); }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(165px, 1fr)); gap: 12px; margin-bottom: 16px; }
section, .card { background: var(--card); border: 1px solid var(--rule); border-radius: 10px; }
section { padding: 18px 20px; margin-bottom: 16px; }
.card { padding: 12px 16px; }
.card b { display: block; font-size: 24px; font-weight: 650; font-variant-numeric: tabular-nums; }
.card span { color: var(--soft); font-size: 13px; }
svg { width: 100%; height: auto; display: block; font: 13px system-ui, sans-serif; }
.label { fill: var(--soft); } .value { fill: var(--text); font-weight: 600; }
.grid { stroke: var(--rule); stroke-width: 1; } .mark { stroke: var(--text); stroke-width: 2; }
.band { fill: var(--band); }
.fill-a { fill: var(--a); } .fill-b { fill: var(--b); }
.dot-a { fill: var(--a); opacity: .55; } .dot-b { fill: var(--b); opacity: .55; }
.line { fill: none; stroke: var(--b); stroke-width: 1.25; opacity: .55; } .point { fill: var(--b); }
.area-a { fill: var(--a); opacity: .35; } .edge-b { fill: none; stroke: var(--b); stroke-width: 2; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 6px 0 6px 16px; border-bottom: 1px solid var(--rule); white-space: nowrap; }
th { color: var(--soft); font-weight: 500; font-size: 13px; }
th:first-child, td:first-child { text-align: left; padding-left: 0; white-space: normal; overflow-wrap: anywhere; }
tr:last-child td { border-bottom: 0; }
</style>
</head>
<body>
<main>
)";

std::string number(double value) {
  if (!std::isfinite(value)) return "not a number";
  return value == 0 ? "0" : fmt::format("{:.3g}", value);
}

std::string milliseconds(double value) {
  return value < 10 ? fmt::format("{:.2f} ms", value) : fmt::format("{:.0f} ms", value);
}

std::string size(uint64_t bytes) {
  return human_bytes(static_cast<double>(bytes));
}

std::string card(const std::string& name, const std::string& value, const std::string& below) {
  return fmt::format("<div class=\"card\"><span>{}</span><b>{}</b><span>{}</span></div>\n", name,
                     escaped(value), escaped(below));
}

std::string section(std::string_view title, const std::string& content, std::string_view note = {}) {
  return fmt::format("<section>\n<h2>{}</h2>\n{}{}</section>\n", title, content,
                     note.empty() ? "" : fmt::format("<p class=\"note\">{}</p>\n", escaped(note)));
}

double ratio(double a, double b) {
  return b > 0 ? a / b : 0;
}

std::string cards(const ComparisonReport& report) {
  const auto& [a, b] = std::pair(report.a, report.b);
  std::string out = "<div class=\"cards\">\n";
  out += card("Size",
              fmt::format("{:.2f}\u00d7", ratio(static_cast<double>(b.bytes), static_cast<double>(a.bytes))),
              size(a.bytes) + " \u2192 " + size(b.bytes));
  out += card("Speed", fmt::format("{:.2f}\u00d7", ratio(a.latency_ms, b.latency_ms)),
              milliseconds(a.latency_ms) + " \u2192 " + milliseconds(b.latency_ms));
  const auto worst =
      std::min_element(report.outputs.begin(), report.outputs.end(),
                       [](const auto& x, const auto& y) { return x.error.cosine < y.error.cosine; });
  if (worst != report.outputs.end())
    out += card("Cosine", fmt::format("{:.5f}", worst->error.cosine), "of " + printable(worst->name, 40));
  if (report.agreement) {
    out +=
        card("Same " + escaped(report.agreement->of), fmt::format("{:.1f} %", 100 * report.agreement->rate()),
             fmt::format("{} of {}", report.agreement->same, report.agreement->total));
  }
  return out + "</div>\n";
}

std::string heading(const ComparisonReport& report) {
  const std::string on = report.input.empty() ? fmt::format("{} batches of random inputs", report.samples)
                                              : fmt::format("{} samples of {}", report.samples,
                                                            printable(report.input.filename().string()));
  const auto model = [](const char* key, const char* css, const ComparedModel& of) {
    return fmt::format("<div><span class=\"key {}\">{}</span>{} <span class=\"soft\">{} nodes</span></div>\n",
                       css, key, escaped(printable(of.file.string(), 1000)), of.nodes);
  };
  return fmt::format(
      "<h1>Two models compared</h1>\n<p class=\"soft\">on {}</p>\n<div class=\"models\">\n{}{}</div>\n",
      escaped(on), model("A", "a", report.a), model("B", "b", report.b));
}

std::string costs(const ComparisonReport& report) {
  const auto& a = report.a;
  const auto& b = report.b;
  std::string out =
      section("Size on disk", runtime::bar_plot({{"A", static_cast<double>(a.bytes), size(a.bytes), "a"},
                                                 {"B", static_cast<double>(b.bytes), size(b.bytes), "b"}}));
  out += section("Time to load", runtime::bar_plot({{"A", a.load_ms, milliseconds(a.load_ms), "a"},
                                                    {"B", b.load_ms, milliseconds(b.load_ms), "b"}}));
  out +=
      section("Latency",
              runtime::strip_plot(
                  {{"A", a.latencies_ms, a.latency_ms, "a"}, {"B", b.latencies_ms, b.latency_ms, "b"}}, "ms"),
              "One dot a run of one sample, the models in turn; lines are the medians.");
  return out;
}

std::string outputs(const ComparisonReport& report) {
  const bool has_kl = std::any_of(report.outputs.begin(), report.outputs.end(),
                                  [](const auto& output) { return output.error.kl.has_value(); });
  std::string rows;
  for (const auto& output : report.outputs) {
    const ErrorFigures& error = output.error;
    rows +=
        fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{:.6f}</td><td>{:.6f}</td>",
                    escaped(printable(output.name)), number(error.max_difference),
                    number(error.mean_difference), number(error.relative), error.cosine, error.least_cosine);
    if (has_kl) rows += fmt::format("<td>{}</td>", error.kl ? number(*error.kl) : "");
    rows += "</tr>\n";
  }
  return section(
      "Outputs",
      fmt::format("<div class=\"scroll\"><table>\n<tr><th>output</th><th>max diff</th><th>mean diff</th>"
                  "<th>relative</th><th>mean cosine</th><th>least cosine</th>{}</tr>\n{}</table></div>\n",
                  has_kl ? "<th>KL</th>" : "", rows),
      has_kl ? "relative: |a \u2212 b| / |a|. KL: of the softmax along the last axis, in nats."
             : "relative: |a \u2212 b| / |a|.");
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// The number of the block in "/encoder/layer.3/attention/...": "3".
std::string block_of(const std::string& name) {
  for (size_t i = 2; i < name.size(); ++i) {
    const bool after_a_name =
        (name[i - 1] == '.' || name[i - 1] == '/') && name[i - 2] != '/' && name[i - 2] != '.';
    if (!is_digit(name[i]) || !after_a_name) continue;
    size_t end = i;
    while (end < name.size() && is_digit(name[end])) ++end;
    if (end == name.size() || name[end] == '/' || name[end] == '.') return name.substr(i, end - i);
  }
  return "";
}

std::string layers(const ComparisonReport& report) {
  if (report.layers.empty()) return "";
  std::vector<runtime::Point> points;
  for (const auto& layer : report.layers) {
    points.push_back({layer.error.relative,
                      fmt::format("{} ({})\nrelative error {}, cosine {:.6f}", printable(layer.name),
                                  printable(layer.op_type), number(layer.error.relative), layer.error.cosine),
                      printable(block_of(layer.name), 8)});
  }
  std::vector<const LayerComparison*> worst;
  for (const auto& layer : report.layers) worst.push_back(&layer);
  const size_t count = std::min<size_t>(8, worst.size());
  std::partial_sort(worst.begin(), worst.begin() + static_cast<ptrdiff_t>(count), worst.end(),
                    [](const auto* x, const auto* y) { return x->error.relative > y->error.relative; });
  std::string rows;
  for (size_t i = 0; i < count; ++i) {
    rows += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td><td>{:.6f}</td></tr>\n",
                        escaped(printable(worst[i]->name)), escaped(printable(worst[i]->op_type)),
                        number(worst[i]->error.relative), worst[i]->error.cosine);
  }
  return section("Error by layer", runtime::log_line_plot(points, "relative error |a \u2212 b| / |a|"),
                 "Every tensor that both graphs compute under the same name, in the order of A; what has no "
                 "error "
                 "stands on the lowest line. Numbers are those of the blocks.") +
         section("Largest errors inside",
                 "<div class=\"scroll\"><table>\n<tr><th>tensor</th><th>operator</th><th>relative</th>"
                 "<th>cosine</th></tr>\n" +
                     rows + "</table></div>\n");
}

std::string weights(const ComparisonReport& report) {
  if (!report.weights) return "";
  return section(
      "Weights", runtime::histogram_plot(report.weights->a, report.weights->b, report.weights->limit),
      "How many weights have which value: A filled, B as a line. Integers count as the numbers that they "
      "stand for; the outermost bins hold what lies beyond.");
}

// The end of a long name tells more than its beginning.
std::string shortened(const std::string& name) {
  constexpr size_t kLongest = 52;
  const std::string text = printable(name);
  return text.size() <= kLongest ? text : "..." + text.substr(text.size() - kLongest);
}

std::string search(const ComparisonReport& report) {
  if (report.nodes.empty()) return "";
  constexpr size_t kMost = 40;
  std::vector<runtime::Bar> bars;
  size_t kept = 0;
  for (const NodeLoss& node : report.nodes) {
    kept += node.kept ? 1 : 0;
    if (bars.size() < kMost)
      bars.push_back({shortened(node.name), node.loss, number(node.loss), node.kept ? "a" : "b"});
  }
  return section(
      "What each node loses alone", runtime::bar_plot(bars, 390),
      fmt::format("By {}, nothing else quantized; {} of {} nodes. The {} in the colour of A stay in "
                  "floats: the others together are within what may be lost.",
                  report.metric, bars.size(), report.nodes.size(), kept));
}

}  // namespace

void write_report(const ComparisonReport& report, const fs::path& html) {
  std::string page(kHead);
  page += heading(report) + cards(report) + costs(report) + outputs(report) + search(report) +
          layers(report) + weights(report);
  page += "<p class=\"soft\">Made by ferry " FERRY_VERSION ".</p>\n</main>\n</body>\n</html>\n";
  const fs::path folder = html.has_parent_path() ? html.parent_path() : fs::path(".");
  StagingFolder staging(folder);
  staging.write(html.filename().string(), page);
  staging.commit({});
}

}  // namespace ferry
