#include "runtime/compare/svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace ferry::runtime {
namespace {

constexpr double kWidth = 860;

std::string svg(double height, const std::string& content, std::string_view what) {
  return fmt::format("<svg viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" aria-label=\"{}\">\n{}</svg>\n", kWidth,
                     height, escaped(what), content);
}

std::string text(double x, double y, std::string_view content, std::string_view anchor = "start",
                 std::string_view css = "label") {
  return fmt::format("<text class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n", css, x, y,
                     anchor, escaped(content));
}

std::string rule(double x1, double y1, double x2, double y2, std::string_view css = "grid") {
  return fmt::format("<line class=\"{}\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>\n", css,
                     x1, y1, x2, y2);
}

// 1, 2 or 5 times a power of ten: about `parts` steps up to `largest`.
double step_for(double largest, int parts) {
  const double rough = largest / parts, power = std::pow(10, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (rough <= factor * power) return factor * power;
  }
  return 10 * power;
}

// Powers of ten around positive values.
struct LogAxis {
  int least = 0, most = 1;
  double top = 0, bottom = 0;

  LogAxis(double low, double high, double from, double to) : top(from), bottom(to) {
    least = static_cast<int>(std::floor(std::log10(low)));
    most = std::max(least + 1, static_cast<int>(std::ceil(std::log10(high))));
  }
  [[nodiscard]] double y(double value) const {
    if (value <= 0) return bottom;
    const double part = (std::log10(value) - least) / (most - least);
    return bottom - std::clamp(part, 0.0, 1.0) * (bottom - top);
  }
  [[nodiscard]] std::string grid(double left, double right) const {
    std::string out;
    const int step = 1 + (most - least) / 9;
    for (int power = least; power <= most; power += step) {
      const double at = y(std::pow(10.0, power));
      out += rule(left, at, right, at);
      out += text(
          left - 8, at + 4,
          power >= -3 && power <= 4 ? fmt::format("{:g}", std::pow(10.0, power)) : fmt::format("1e{}", power),
          "end");
    }
    return out;
  }
};

// One point of a path; `first` begins it.
std::string to(bool first, double x, double y) {
  return fmt::format("{}{:.1f} {:.1f}", first ? "M" : "L", x, y);
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string bar_plot(const std::vector<Bar>& bars, double left) {
  constexpr double kRight = 150;
  const double line = bars.size() > 4 ? 22 : 30, thick = line - 8;
  double largest = 0;
  for (const Bar& bar : bars) largest = std::max(largest, bar.value);
  std::string out;
  double y = 4;
  for (const Bar& bar : bars) {
    const double width = largest > 0 ? bar.value / largest * (kWidth - left - kRight) : 0;
    out += text(left - 12, y + thick / 2 + 5, bar.label, "end");
    out += fmt::format(
        "<rect class=\"fill-{}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.0f}\" rx=\"3\"/>\n",
        bar.css, left, y, std::max(width, 1.0), thick);
    out += text(left + std::max(width, 1.0) + 8, y + thick / 2 + 5, bar.shown, "start", "value");
    y += line;
  }
  return svg(y, out, "bars");
}

std::string strip_plot(const std::vector<Strip>& strips, std::string_view unit) {
  constexpr double kLeft = 40, kRight = 30, kLine = 40;
  double largest = 0;
  for (const Strip& strip : strips) {
    for (const double value : strip.values) largest = std::max(largest, value);
  }
  if (largest <= 0) return "";
  const auto x = [&](double value) { return kLeft + value / largest * (kWidth - kLeft - kRight); };
  const double bottom = kLine * static_cast<double>(strips.size()) + 4;
  std::string out;
  const double step = step_for(largest, 6);
  for (double at = 0; at <= largest; at += step) {
    out += rule(x(at), 0, x(at), bottom);
    out += text(x(at), bottom + 16, fmt::format("{:g} {}", at, unit), "middle");
  }
  for (size_t line = 0; line < strips.size(); ++line) {
    const Strip& strip = strips[line];
    const double middle = kLine * static_cast<double>(line) + kLine / 2 + 2;
    out += text(kLeft - 12, middle + 5, strip.label, "end");
    for (size_t i = 0; i < strip.values.size(); ++i) {
      // A fixed scatter keeps dots of equal runs apart.
      const double y = middle + (static_cast<double>(i * 7 % 11) - 5) * 2;
      out += fmt::format("<circle class=\"dot-{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\"/>\n", strip.css,
                         x(strip.values[i]), y);
    }
    out += rule(x(strip.marked), middle - 17, x(strip.marked), middle + 17, "mark");
  }
  return svg(bottom + 22, out, "runs");
}

std::string log_line_plot(const std::vector<Point>& points, std::string_view axis) {
  constexpr double kLeft = 64, kRight = 12, kTop = 24, kBottom = 250;
  double low = INFINITY, high = 0;
  for (const Point& point : points) {
    if (!std::isfinite(point.value) || point.value <= 0) continue;
    low = std::min(low, point.value);
    high = std::max(high, point.value);
  }
  if (high <= 0) low = high = 1e-6;
  const LogAxis scale(low, high, kTop, kBottom);
  const double step = (kWidth - kLeft - kRight) / static_cast<double>(std::max<size_t>(points.size(), 1));
  const auto x = [&](size_t i) { return kLeft + step * (static_cast<double>(i) + 0.5); };
  std::string bands, path, dots;
  bool dark = false;
  for (size_t first = 0, next = 0; first < points.size(); first = next) {
    for (next = first; next < points.size() && points[next].group == points[first].group;) ++next;
    const double left = kLeft + step * static_cast<double>(first),
                 width = step * static_cast<double>(next - first);
    if (points[first].group.empty()) continue;
    if (dark)
      bands +=
          fmt::format("<rect class=\"band\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"/>\n",
                      left, kTop, width, kBottom - kTop);
    if (width > 22) bands += text(left + width / 2, kBottom + 18, points[first].group, "middle");
    dark = !dark;
  }
  for (size_t i = 0; i < points.size(); ++i) {
    const double y = std::isfinite(points[i].value) ? scale.y(points[i].value) : kTop;
    path += to(i == 0, x(i), y);
    dots += fmt::format(
        "<circle class=\"point\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{}\"><title>{}</title></circle>\n", x(i), y,
        points.size() > 200 ? 2.5 : 3.5, escaped(points[i].title));
  }
  const std::string line = fmt::format("<path class=\"line\" d=\"{}\"/>\n", path);
  return svg(kBottom + 28, bands + scale.grid(kLeft, kWidth - kRight) + text(kLeft, 14, axis) + line + dots,
             "error by layer");
}

std::string histogram_plot(const std::vector<uint64_t>& a, const std::vector<uint64_t>& b, double limit) {
  constexpr double kLeft = 64, kRight = 12, kTop = 10, kBottom = 240;
  uint64_t most = 1, least = UINT64_MAX;
  for (const auto* counts : {&a, &b}) {
    for (const uint64_t count : *counts) {
      most = std::max(most, count);
      if (count > 0) least = std::min(least, count);
    }
  }
  const LogAxis scale(static_cast<double>(std::min(least, most)), static_cast<double>(most), kTop, kBottom);
  const double step = (kWidth - kLeft - kRight) / static_cast<double>(std::max<size_t>(a.size(), 1));
  const auto outline = [&](const std::vector<uint64_t>& counts) {
    std::string path = to(true, kLeft, kBottom);
    for (size_t i = 0; i < counts.size(); ++i) {
      const double y = scale.y(static_cast<double>(counts[i]));
      path += to(false, kLeft + step * static_cast<double>(i), y);
      path += to(false, kLeft + step * static_cast<double>(i + 1), y);
    }
    return path + to(false, kLeft + step * static_cast<double>(counts.size()), kBottom);
  };
  std::string out = scale.grid(kLeft, kWidth - kRight);
  out += fmt::format("<path class=\"area-a\" d=\"{}Z\"/>\n<path class=\"edge-b\" d=\"{}\"/>\n", outline(a),
                     outline(b));
  for (int quarter = -4; quarter <= 4; quarter += 2) {
    const double x = kLeft + (quarter / 4.0 + 1) / 2 * (kWidth - kLeft - kRight);
    out += text(x, kBottom + 18, fmt::format("{:.3g}", limit * quarter / 4.0),
                quarter == -4  ? "start"
                : quarter == 4 ? "end"
                               : "middle");
  }
  return svg(kBottom + 26, out, "histogram of weights");
}

}  // namespace ferry::runtime
