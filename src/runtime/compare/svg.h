#pragma once
// Plots as SVG, coloured by the classes "a" and "b" of the page that they stand in.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::runtime {

/// `text` for HTML and SVG.
std::string escaped(std::string_view text);

struct Bar {
  std::string label;  ///< Left of the bar.
  double value = 0;
  std::string shown;  ///< Right of it.
  std::string css;    ///< "a" or "b"
};
/// Horizontal bars from 0 on, which begin at `left`.
std::string bar_plot(const std::vector<Bar>& bars, double left = 40);

struct Strip {
  std::string label;
  std::vector<double> values;
  double marked = 0;  ///< A line: the median.
  std::string css;
};
/// Each value a dot on a common axis.
std::string strip_plot(const std::vector<Strip>& strips, std::string_view unit);

struct Point {
  double value = 0;
  std::string title;  ///< Shown where the pointer rests.
  std::string group;  ///< Neighbours of one group share a band; "": none.
};
/// Values in order along a logarithmic axis; 0 stands at its lower end.
std::string log_line_plot(const std::vector<Point>& points, std::string_view axis);

/// Two histograms over [-limit, limit], counts on a logarithmic axis.
std::string histogram_plot(const std::vector<uint64_t>& a, const std::vector<uint64_t>& b, double limit);

}  // namespace ferry::runtime
