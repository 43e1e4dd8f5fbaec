// Functions of two and more broadcast elements.
#include <cmath>

#include "reference/elementwise.h"

namespace ferry::reference {
namespace {

// Two's complement arithmetic, as every runtime has it, without C++'s undefined overflow.
int64_t add_of(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}
int64_t sub_of(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
}
int64_t mul_of(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
}
// NaN wins, as in numpy.
float max_of(float a, float b) {
  return std::isnan(a) || a > b ? a : b;
}
float min_of(float a, float b) {
  return std::isnan(a) || a < b ? a : b;
}

template <typename Real, typename Integer>
Tensor numeric(const Call& call, const Tensor& a, const Tensor& b, const Real& real, const Integer& integer) {
  if (a.kind() == Kind::integer) return combined<int64_t, int64_t, int64_t>(call, a, b, integer);
  return combined<float, float, float>(call, a, b, real);
}

void add(Call& call) {
  call.set(0, numeric(
                  call, call.input(0), call.input(1), [](float a, float b) { return a + b; }, add_of));
}
void sub(Call& call) {
  call.set(0, numeric(
                  call, call.input(0), call.input(1), [](float a, float b) { return a - b; }, sub_of));
}
void mul(Call& call) {
  call.set(0, numeric(
                  call, call.input(0), call.input(1), [](float a, float b) { return a * b; }, mul_of));
}

void require_no_zero(Call& call, const Tensor& divisor) {
  if (divisor.kind() != Kind::integer) return;
  for (const int64_t value : divisor.get<int64_t>()) call.require(value != 0, "an integer is divided by 0");
}

// Integers are divided towards zero.
void div(Call& call) {
  require_no_zero(call, call.input(1));
  call.set(0, numeric(
                  call, call.input(0), call.input(1), [](float a, float b) { return a / b; },
                  [](int64_t a, int64_t b) { return b == -1 ? sub_of(0, a) : a / b; }));
}

// With fmod the result has the dividend's sign, else the divisor's.
void mod(Call& call) {
  const bool fmod = call.attribute("fmod", int64_t{0}) != 0;
  require_no_zero(call, call.input(1));
  call.require(fmod || call.input(0).kind() == Kind::integer, "Mod of floating numbers needs fmod = 1");
  call.set(0, numeric(
                  call, call.input(0), call.input(1), [](float a, float b) { return std::fmod(a, b); },
                  [fmod](int64_t a, int64_t b) {
                    if (b == -1) return int64_t{0};
                    const int64_t rest = a % b;
                    return !fmod && rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
                  }));
}

int64_t integer_power(int64_t base, int64_t exponent) {
  if (exponent < 0) return base == 1 ? 1 : base == -1 ? (exponent % 2 == 0 ? 1 : -1) : 0;
  int64_t out = 1;
  for (; exponent > 0; exponent /= 2) {
    if (exponent % 2 == 1) out = mul_of(out, base);
    base = mul_of(base, base);
  }
  return out;
}

float real_power(double base, double exponent) {
  return static_cast<float>(std::pow(base, exponent));
}

// The result has the base's type.
void pow(Call& call) {
  const Tensor& a = call.input(0);
  const Tensor& b = call.input(1);
  if (a.kind() == Kind::integer && b.kind() == Kind::integer) {
    call.set(0, combined<int64_t, int64_t, int64_t>(call, a, b, integer_power));
  } else if (a.kind() == Kind::integer) {
    call.set(0, combined<int64_t, float, int64_t>(call, a, b, [](int64_t x, float y) {
               return static_cast<int64_t>(std::pow(static_cast<double>(x), static_cast<double>(y)));
             }));
  } else if (b.kind() == Kind::integer) {
    call.set(0, combined<float, int64_t, float>(
                    call, a, b, [](float x, int64_t y) { return real_power(x, static_cast<double>(y)); }));
  } else {
    call.set(0, combined<float, float, float>(call, a, b, real_power));
  }
}

void prelu(Call& call) {
  call.set(0,
           numeric(
               call, call.input(0), call.input(1), [](float x, float slope) { return x < 0 ? x * slope : x; },
               [](int64_t x, int64_t slope) { return x < 0 ? mul_of(x, slope) : x; }));
}

template <typename F>
void bitwise(Call& call, const F& f) {
  call.set(0, combined<int64_t, int64_t, int64_t>(call, call.input(0), call.input(1), f));
}
void bitwise_and(Call& call) {
  bitwise(call, [](int64_t a, int64_t b) { return a & b; });
}
void bitwise_or(Call& call) {
  bitwise(call, [](int64_t a, int64_t b) { return a | b; });
}
void bitwise_xor(Call& call) {
  bitwise(call, [](int64_t a, int64_t b) { return a ^ b; });
}

// Of unsigned numbers, which are held as they are (u64 in two's complement).
void bit_shift(Call& call) {
  const bool left = call.attribute("direction", "") == "LEFT";
  bitwise(call, [left](int64_t a, int64_t b) {
    if (b < 0 || b > 63) return int64_t{0};
    const auto bits = static_cast<uint64_t>(a);
    return static_cast<int64_t>(left ? bits << b : bits >> b);
  });
}

template <typename F>
void logical(Call& call, const F& f) {
  call.set(0, combined<bool, bool, bool>(call, call.input(0), call.input(1), f));
}
void logical_and(Call& call) {
  logical(call, [](bool a, bool b) { return a && b; });
}
void logical_or(Call& call) {
  logical(call, [](bool a, bool b) { return a || b; });
}
void logical_xor(Call& call) {
  logical(call, [](bool a, bool b) { return a != b; });
}

template <typename F>
void compare(Call& call, const F& f) {
  const Tensor& a = call.input(0);
  call.set(0, for_kind(a.kind(), [&]<typename T>(std::type_identity<T>) {
             return combined<T, T, bool>(call, a, call.input(1), f);
           }));
}
void equal(Call& call) {
  compare(call, [](auto a, auto b) { return a == b; });
}
void less(Call& call) {
  compare(call, [](auto a, auto b) { return a < b; });
}
void less_or_equal(Call& call) {
  compare(call, [](auto a, auto b) { return a <= b; });
}
void greater(Call& call) {
  compare(call, [](auto a, auto b) { return a > b; });
}
void greater_or_equal(Call& call) {
  compare(call, [](auto a, auto b) { return a >= b; });
}

template <typename Real, typename Integer>
Tensor accumulated(Call& call, const Real& real, const Integer& integer) {
  Tensor out = call.input(0);
  for (size_t i = 1; i < call.input_count(); ++i) out = numeric(call, out, call.input(i), real, integer);
  return out;
}

void max(Call& call) {
  call.set(0, accumulated(call, max_of, [](int64_t a, int64_t b) { return std::max(a, b); }));
}
void min(Call& call) {
  call.set(0, accumulated(call, min_of, [](int64_t a, int64_t b) { return std::min(a, b); }));
}
void sum(Call& call) {
  call.set(0, accumulated(
                  call, [](float a, float b) { return a + b; }, add_of));
}
void mean(Call& call) {
  const Tensor total = accumulated(
      call, [](float a, float b) { return a + b; }, add_of);
  const auto count = static_cast<float>(call.input_count());
  call.set(0, mapped<float, float>(total, [count](float x) { return x / count; }));
}

void where(Call& call) {
  const Tensor& condition = call.input(0);
  const Tensor& a = call.input(1);
  const Tensor& b = call.input(2);
  const Dims dims = call.broadcast(condition.dims(), call.broadcast(a.dims(), b.dims()));
  call.set(0, for_kind(a.kind(), [&]<typename T>(std::type_identity<T>) {
             Tensor out = Tensor::make<T>(dims);
             const bool* which = condition.get<bool>().data();
             const T* x = a.get<T>().data();
             const T* y = b.get<T>().data();
             T* to = out.edit<T>().data();
             const Walk<3> walk(dims, {broadcast_strides(condition.dims(), dims),
                                       broadcast_strides(a.dims(), dims), broadcast_strides(b.dims(), dims)});
             walk.rows([&](int64_t first, const std::array<int64_t, 3>& at) {
               for (int64_t i = 0; i < walk.length(); ++i) {
                 to[first + i] = which[at[0] + i * walk.step(0)] ? x[at[1] + i * walk.step(1)]
                                                                 : y[at[2] + i * walk.step(2)];
               }
             });
             return out;
           }));
}

constexpr Op kOps[] = {
    {"Add", add},
    {"Sub", sub},
    {"Mul", mul},
    {"Div", div},
    {"Mod", mod},
    {"Pow", pow},
    {"PRelu", prelu},
    {"BitwiseAnd", bitwise_and},
    {"BitwiseOr", bitwise_or},
    {"BitwiseXor", bitwise_xor},
    {"BitShift", bit_shift},
    {"And", logical_and},
    {"Or", logical_or},
    {"Xor", logical_xor},
    {"Equal", equal},
    {"Less", less},
    {"LessOrEqual", less_or_equal},
    {"Greater", greater},
    {"GreaterOrEqual", greater_or_equal},
    {"Max", max},
    {"Min", min},
    {"Sum", sum},
    {"Mean", mean},
    {"Where", where},
};

}  // namespace

std::span<const Op> binary_ops() {
  return kOps;
}

}  // namespace ferry::reference
