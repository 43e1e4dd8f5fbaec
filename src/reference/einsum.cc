// Einsum, as its definition reads: the sum over all letters that the result does not name of the product of
// the inputs. Two inputs whose letters allow it go through a batched matrix product.
#include <map>

#include "reference/call.h"
#include "reference/gemm.h"
#include "reference/strides.h"

namespace ferry::reference {
namespace {

struct Equation {
  std::vector<std::string> inputs;
  std::string output;
};

// "..." becomes capital-free placeholder letters, aligned to the right: '\1' is the last such axis.
std::string expanded(Call& call, const std::string& term, size_t rank) {
  const size_t dots = term.find("...");
  if (dots == std::string::npos) {
    call.require(rank == term.size() || rank == std::string::npos, "a term names another number of axes");
    return term;
  }
  call.require(rank + 3 >= term.size(), "a term names more axes than there are");
  std::string stars;
  for (size_t i = rank + 3 - term.size(); i > 0; --i) stars += static_cast<char>(i);
  return term.substr(0, dots) + stars + term.substr(dots + 3);
}

// The letters that occur once, in order: the result that is meant where none is given.
std::string implied_output(const std::vector<std::string>& inputs) {
  std::map<char, int> counts;
  for (const auto& term : inputs) {
    for (const char letter : term) ++counts[letter];
  }
  std::string stars, letters;
  for (const auto& [letter, count] : counts) {
    if (letter < ' ') stars.insert(stars.begin(), letter);
    if (letter >= ' ' && count == 1) letters += letter;
  }
  return stars + letters;
}

Equation parsed(Call& call) {
  std::string text = call.attribute("equation", "");
  std::erase(text, ' ');
  const size_t arrow = text.find("->");
  Equation out;
  std::string left = text.substr(0, arrow);
  size_t most_stars = 0;
  for (size_t i = 0; i < call.input_count(); ++i) {
    const size_t comma = left.find(',');
    call.require((comma == std::string::npos) == (i + 1 == call.input_count()),
                 "the equation is for another number of inputs");
    out.inputs.push_back(expanded(call, left.substr(0, comma), call.input(i).rank()));
    for (const char letter : out.inputs.back()) {
      if (letter < ' ') most_stars = std::max(most_stars, static_cast<size_t>(letter));
    }
    left = comma == std::string::npos ? "" : left.substr(comma + 1);
  }
  if (arrow == std::string::npos) {
    out.output = implied_output(out.inputs);
  } else {
    const std::string right = text.substr(arrow + 2);
    const bool dots = right.find("...") != std::string::npos;
    out.output = dots ? expanded(call, right, right.size() - 3 + most_stars) : right;
  }
  return out;
}

// Sizes of all letters; a size of 1 broadcasts under "...".
std::map<char, int64_t> sizes_of(Call& call, const Equation& equation) {
  std::map<char, int64_t> sizes;
  for (size_t i = 0; i < equation.inputs.size(); ++i) {
    for (size_t d = 0; d < equation.inputs[i].size(); ++d) {
      const int64_t size = call.input(i).dim(d);
      int64_t& held = sizes.emplace(equation.inputs[i][d], size).first->second;
      if (held == 1) held = size;
      call.require(size == held || size == 1, "a letter names two sizes");
    }
  }
  return sizes;
}

// An input as a tensor over `letters`: its diagonal where it names a letter twice, sums over nothing.
Tensor arranged(const Tensor& in, const std::string& term, const std::string& letters,
                const std::map<char, int64_t>& sizes) {
  const Dims from = row_major(in.dims());
  Dims dims, strides;
  for (const char letter : letters) {
    int64_t stride = 0;
    for (size_t d = 0; d < term.size(); ++d) {
      if (term[d] == letter && in.dim(d) != 1) stride += from[d];
    }
    dims.push_back(sizes.at(letter));
    strides.push_back(stride);
  }
  return strided(in, dims, strides);
}

int64_t extent(const std::string& letters, const std::map<char, int64_t>& sizes) {
  int64_t out = 1;
  for (const char letter : letters) out *= sizes.at(letter);
  return out;
}

bool names(const std::string& term, char letter) {
  return term.find(letter) != std::string::npos;
}

// Two inputs: letters of both and the result are batches, of one and the result rows or columns, all others
// are summed.
Tensor pair_product(Call& call, const Equation& equation, const std::map<char, int64_t>& sizes) {
  std::string batch, rows, columns, inner;
  for (const auto& [letter, size] : sizes) {
    const bool a = names(equation.inputs[0], letter), b = names(equation.inputs[1], letter);
    if (!names(equation.output, letter)) {
      inner += letter;
    } else {
      (a && b ? batch : a ? rows : columns) += letter;
    }
  }
  // A letter that one input alone has and that is summed cannot repeat the other's elements: it would count
  // them often. Repeating is right: each pair occurs once.
  const Tensor a = arranged(call.input(0), equation.inputs[0], batch + rows + inner, sizes);
  const Tensor b = arranged(call.input(1), equation.inputs[1], batch + inner + columns, sizes);
  const int64_t m = extent(rows, sizes), k = extent(inner, sizes), n = extent(columns, sizes);
  const int64_t batches = extent(batch, sizes);
  Tensor product_of = Tensor::make<float>({batches, m, n});
  const float* x = a.get<float>().data();
  const float* y = b.get<float>().data();
  float* to = product_of.edit<float>().data();
  in_blocks(batches, m * k * n / 8, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      multiply({x + i * m * k, m, k, k, 1}, {y + i * k * n, k, n, n, 1}, to + i * m * n, n);
  });
  Dims dims;
  const std::string order = batch + rows + columns;
  for (const char letter : order) dims.push_back(sizes.at(letter));
  std::vector<int64_t> perm;
  for (const char letter : equation.output) perm.push_back(static_cast<int64_t>(order.find(letter)));
  return transposed(product_of.with_dims(dims), perm);
}

Tensor general_product(Call& call, const Equation& equation, const std::map<char, int64_t>& sizes) {
  std::string letters = equation.output;
  for (const auto& [letter, size] : sizes) {
    if (!names(letters, letter)) letters += letter;
  }
  Dims dims;
  for (const char letter : equation.output) dims.push_back(sizes.at(letter));
  const int64_t results = extent(equation.output, sizes);
  const int64_t terms = results == 0 ? 0 : extent(letters, sizes) / results;
  std::vector<Tensor> inputs;
  for (size_t i = 0; i < equation.inputs.size(); ++i)
    inputs.push_back(arranged(call.input(i), equation.inputs[i], letters, sizes));
  Tensor out = Tensor::make<float>(dims);
  auto to = out.edit<float>();
  for (int64_t i = 0; i < results; ++i) {
    double sum = 0;
    for (int64_t k = 0; k < terms; ++k) {
      double term = 1;
      for (const Tensor& in : inputs) term *= in.get<float>()[static_cast<size_t>(i * terms + k)];
      sum += term;
    }
    to[static_cast<size_t>(i)] = static_cast<float>(sum);
  }
  return out;
}

void einsum(Call& call) {
  const Equation equation = parsed(call);
  const auto sizes = sizes_of(call, equation);
  for (const char letter : equation.output)
    call.require(sizes.count(letter) > 0, "the result names a letter that no input has");
  const bool pair = equation.inputs.size() == 2;
  call.set(0, pair ? pair_product(call, equation, sizes) : general_product(call, equation, sizes));
}

constexpr Op kOps[] = {{"Einsum", einsum}};

}  // namespace

std::span<const Op> einsum_ops() {
  return kOps;
}

}  // namespace ferry::reference
