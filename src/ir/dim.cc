#include "ir/dim.h"

#include <algorithm>
#include <limits>

#include "base/error.h"

namespace ferry::ir {
namespace {

// Shapes come from files, too: what would overflow or grow without end is an error, not a dimension.
constexpr size_t kMostTerms = 64;
constexpr size_t kMostAtoms = 32;
constexpr size_t kLongestText = 2000;

[[noreturn]] void too_large() {
  throw Error(ErrorCode::shape_mismatch, "a dimension does not fit 64 bits");
}
void check_size(bool fits) {
  if (!fits) throw Error(ErrorCode::shape_mismatch, "a dimension is too long a formula");
}

int64_t product(int64_t a, int64_t b) {
  int64_t out = 0;
  if (__builtin_mul_overflow(a, b, &out)) too_large();
  return out;
}
int64_t sum(int64_t a, int64_t b) {
  int64_t out = 0;
  if (__builtin_add_overflow(a, b, &out)) too_large();
  return out;
}

}  // namespace

struct Dim::Atom {
  std::string text;
  std::optional<Dim> numerator;  // Of a floor division.
  int64_t divisor = 1;
};

Dim::Dim(int64_t value) {
  if (value != 0) terms_.push_back({value, {}});
}

Dim Dim::symbol(std::string_view name) {
  Dim out;
  out.terms_.push_back({1, {std::make_shared<const Atom>(Atom{std::string(name), std::nullopt, 1})}});
  return out;
}

bool Dim::is_constant() const {
  return terms_.empty() || (terms_.size() == 1 && terms_[0].atoms.empty());
}

std::optional<int64_t> Dim::constant() const {
  if (!is_constant()) return std::nullopt;
  return terms_.empty() ? 0 : terms_[0].coefficient;
}

std::optional<std::string> Dim::symbol_name() const {
  const bool alone = terms_.size() == 1 && terms_[0].coefficient == 1 && terms_[0].atoms.size() == 1;
  if (!alone || terms_[0].atoms[0]->numerator) return std::nullopt;
  return terms_[0].atoms[0]->text;
}

std::string Dim::key(const Term& term) {
  // The constant term sorts last.
  if (term.atoms.empty()) return "\x7f";
  std::string out;
  for (const auto& atom : term.atoms) {
    if (!out.empty()) out += "*";
    out += atom->text;
  }
  return out;
}

void Dim::add_term(Term term) {
  const std::string wanted = key(term);
  const auto at =
      std::find_if(terms_.begin(), terms_.end(), [&](const Term& other) { return key(other) >= wanted; });
  if (at == terms_.end() || key(*at) != wanted) {
    if (term.coefficient != 0) terms_.insert(at, std::move(term));
    check_size(terms_.size() <= kMostTerms);
    return;
  }
  at->coefficient = sum(at->coefficient, term.coefficient);
  if (at->coefficient == 0) terms_.erase(at);
}

Dim::Term Dim::multiply(const Term& a, const Term& b) {
  Term out{product(a.coefficient, b.coefficient), a.atoms};
  check_size(a.atoms.size() + b.atoms.size() <= kMostAtoms);
  out.atoms.insert(out.atoms.end(), b.atoms.begin(), b.atoms.end());
  std::sort(out.atoms.begin(), out.atoms.end(),
            [](const AtomPtr& x, const AtomPtr& y) { return x->text < y->text; });
  return out;
}

Dim operator+(const Dim& a, const Dim& b) {
  Dim out = a;
  for (const auto& term : b.terms_) out.add_term(term);
  return out;
}

Dim operator-(const Dim& a, const Dim& b) {
  return a + Dim(-1) * b;
}

Dim operator*(const Dim& a, const Dim& b) {
  Dim out;
  for (const auto& x : a.terms_) {
    for (const auto& y : b.terms_) out.add_term(Dim::multiply(x, y));
  }
  return out;
}

Dim Dim::floor_div(int64_t divisor) const {
  check_internal(divisor > 0, "floor_div by a number that is not positive");
  if (divisor == 1) return *this;
  // floor((d q + r) / d) = q + floor(r / d): whole multiples leave the division.
  Dim whole, rest;
  for (const auto& term : terms_) {
    int64_t quotient = term.coefficient / divisor;
    int64_t remainder = term.coefficient % divisor;
    if (remainder < 0) {
      remainder += divisor;
      --quotient;
    }
    const bool splits = term.atoms.empty() || remainder == 0;
    if (splits) {
      whole.add_term({quotient, term.atoms});
      rest.add_term({remainder, term.atoms});
    } else {
      rest.add_term(term);
    }
  }
  if (rest.is_constant()) return whole;  // 0 <= rest < divisor
  check_size(rest.str().size() <= kLongestText);
  Term term{1,
            {std::make_shared<const Atom>(
                Atom{"(" + rest.str() + ") // " + std::to_string(divisor), rest, divisor})}};
  whole.add_term(std::move(term));
  return whole;
}

std::optional<Dim> Dim::divide_exactly(const Dim& divisor) const {
  if (divisor.terms_.size() != 1) return *this == divisor ? std::optional(Dim(1)) : std::nullopt;
  const Term& by = divisor.terms_[0];
  Dim out;
  for (const Term& term : terms_) {
    // Of the smallest number, -1 is no divisor: the quotient does not fit.
    if (by.coefficient == -1 && term.coefficient == std::numeric_limits<int64_t>::min()) return std::nullopt;
    if (term.coefficient % by.coefficient != 0) return std::nullopt;
    Term left{term.coefficient / by.coefficient, term.atoms};
    for (const auto& atom : by.atoms) {
      const auto at = std::find_if(left.atoms.begin(), left.atoms.end(),
                                   [&](const AtomPtr& x) { return x->text == atom->text; });
      if (at == left.atoms.end()) return std::nullopt;
      left.atoms.erase(at);
    }
    out.add_term(std::move(left));
  }
  return out;
}

bool operator==(const Dim& a, const Dim& b) {
  return std::equal(a.terms_.begin(), a.terms_.end(), b.terms_.begin(), b.terms_.end(),
                    [](const Dim::Term& x, const Dim::Term& y) {
                      return x.coefficient == y.coefficient && Dim::key(x) == Dim::key(y);
                    });
}

int64_t Dim::evaluate(const std::map<std::string, int64_t, std::less<>>& sizes) const {
  int64_t total = 0;
  for (const Term& term : terms_) {
    int64_t value = term.coefficient;
    for (const auto& atom : term.atoms) {
      if (atom->numerator) {
        const int64_t numerator = atom->numerator->evaluate(sizes);
        value *=
            numerator >= 0 ? numerator / atom->divisor : -((-numerator + atom->divisor - 1) / atom->divisor);
      } else {
        const auto found = sizes.find(atom->text);
        check_internal(found != sizes.end(), "no size is given for the dimension " + atom->text);
        value *= found->second;
      }
    }
    total += value;
  }
  return total;
}

Dim Dim::substitute(const std::map<std::string, Dim, std::less<>>& replacements) const {
  Dim total;
  for (const Term& term : terms_) {
    Dim value(term.coefficient);
    for (const auto& atom : term.atoms) {
      if (atom->numerator) {
        value = value * atom->numerator->substitute(replacements).floor_div(atom->divisor);
      } else if (const auto found = replacements.find(atom->text); found != replacements.end()) {
        value = value * found->second;
      } else {
        value = value * symbol(atom->text);
      }
    }
    total = total + value;
  }
  return total;
}

std::string Dim::str() const {
  if (terms_.empty()) return "0";
  std::string out;
  for (const Term& term : terms_) {
    const bool negative = term.coefficient < 0;
    const int64_t magnitude = negative ? -term.coefficient : term.coefficient;
    if (out.empty()) {
      if (negative) out += "-";
    } else {
      out += negative ? " - " : " + ";
    }
    if (term.atoms.empty()) {
      out += std::to_string(magnitude);
      continue;
    }
    if (magnitude != 1) out += std::to_string(magnitude) + "*";
    const bool grouped = term.atoms.size() > 1 || magnitude != 1;
    for (size_t i = 0; i < term.atoms.size(); ++i) {
      if (i > 0) out += "*";
      const Atom& atom = *term.atoms[i];
      out += atom.numerator && grouped ? "(" + atom.text + ")" : atom.text;
    }
  }
  return out;
}

std::string to_string(const Shape& shape) {
  std::string out = "[";
  for (size_t i = 0; i < shape.size(); ++i) out += (i > 0 ? ", " : "") + shape[i].str();
  return out + "]";
}

}  // namespace ferry::ir
