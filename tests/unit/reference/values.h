#pragma once
// Matchers for what an operator gives.
#include <gmock/gmock.h>

#include "base/error.h"
#include "unit/reference/op_case.h"

namespace ferry::test {

inline std::vector<float> floats(const OpCase& of) {
  const HostTensor result = evaluate(of);
  const auto values = result.as<float>();
  return {values.begin(), values.end()};
}
inline std::vector<int64_t> integers(const OpCase& of) {
  const HostTensor result = evaluate(of);
  const auto values = result.as<int64_t>();
  return {values.begin(), values.end()};
}
inline std::vector<bool> truths(const OpCase& of) {
  const HostTensor result = evaluate(of);
  const auto values = result.as<bool>();
  return {values.begin(), values.end()};
}

/// Within one or two units in the last place of numbers near 1.
inline testing::Matcher<std::vector<float>> near(const std::vector<double>& expected,
                                                 double tolerance = 3e-7) {
  std::vector<testing::Matcher<float>> each;
  for (const double x : expected)
    each.push_back(testing::NanSensitiveFloatNear(static_cast<float>(x), static_cast<float>(tolerance)));
  return testing::ElementsAreArray(each);
}

/// The code and text of what running it throws.
inline std::string error_of(const OpCase& of) {
  try {
    evaluate_all(of);
  } catch (const Error& error) {
    return std::string(to_string(error.code())) + ": " + error.what();
  }
  return "nothing was thrown";
}

}  // namespace ferry::test
