#pragma once
// Symbolic dimensions: whole-number polynomials over named sizes and floor divisions of such, in one
// canonical form.
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::ir {

/// A dimension such as 768, batch_size, past_sequence_length + sequence_length or (num_frames + 1) / 2.
/// Two dimensions that are equal as polynomials compare equal, however they were written.
class Dim {
 public:
  Dim(int64_t value = 0);  // NOLINT(google-explicit-constructor): 64 is a dimension wherever one is expected.
  static Dim symbol(std::string_view name);

  [[nodiscard]] bool is_constant() const;
  /// The value of a constant; nothing for a symbolic dimension.
  [[nodiscard]] std::optional<int64_t> constant() const;
  /// The name, if the dimension is one symbol alone.
  [[nodiscard]] std::optional<std::string> symbol_name() const;

  friend Dim operator+(const Dim& a, const Dim& b);
  friend Dim operator-(const Dim& a, const Dim& b);
  friend Dim operator*(const Dim& a, const Dim& b);
  /// floor(a / divisor), divisor > 0. Exact divisions simplify: (6 n) / 3 is 2 n, (6 n + 4) / 3 is 2 n + 1 +
  /// (1/3 dropped).
  [[nodiscard]] Dim floor_div(int64_t divisor) const;
  /// a / b if the division is exact as polynomials with a single-term divisor, else nothing.
  [[nodiscard]] std::optional<Dim> divide_exactly(const Dim& divisor) const;

  friend bool operator==(const Dim& a, const Dim& b);

  /// The value for given sizes. Errors: Error{internal} if a symbol is not among them.
  [[nodiscard]] int64_t evaluate(const std::map<std::string, int64_t, std::less<>>& sizes) const;
  /// With every symbol that is among `replacements` replaced.
  [[nodiscard]] Dim substitute(const std::map<std::string, Dim, std::less<>>& replacements) const;

  /// "768", "batch_size", "past_sequence_length + sequence_length", "2*n - 1", "(n + 1) // 2".
  [[nodiscard]] std::string str() const;

 private:
  struct Atom;  // A symbol or a floor division.
  using AtomPtr = std::shared_ptr<const Atom>;
  struct Term {
    int64_t coefficient = 0;
    std::vector<AtomPtr> atoms;  // Sorted by text; empty for the constant term.
  };
  static std::string key(const Term& term);
  void add_term(Term term);
  static Term multiply(const Term& a, const Term& b);

  std::vector<Term> terms_;  // Sorted by key, constant last; no zero coefficients. Empty means 0.
};

using Shape = std::vector<Dim>;

/// "[batch_size, 12, 64]"
std::string to_string(const Shape& shape);

}  // namespace ferry::ir
