// Gathering from places that another tensor names, and scattering to them.
#include <algorithm>
#include <functional>

#include "base/parallel.h"
#include "reference/call.h"
#include "reference/strides.h"
#include "tensor/convert.h"

namespace ferry::reference {
namespace {

// Counted from the end if negative.
int64_t checked_index(const Call& call, int64_t index, int64_t size) {
  const int64_t at = index < 0 ? index + size : index;
  call.require(at >= 0 && at < size,
               "index " + std::to_string(index) + " is not within " + std::to_string(size));
  return at;
}

std::vector<int64_t> checked_indices(const Call& call, const Tensor& indices, int64_t size) {
  std::vector<int64_t> out;
  for (const int64_t index : indices.get<int64_t>()) out.push_back(checked_index(call, index, size));
  return out;
}

// Rows of a table that may be far larger than what is looked up: only they are read.
Tensor weight_rows(const Weight& table, const std::vector<int64_t>& rows) {
  const int64_t length = product(table.dims(), 1, table.dims().size());
  const auto count = static_cast<uint64_t>(length);
  Tensor out = Tensor::make<float>({static_cast<int64_t>(rows.size()), length});
  float* to = out.edit<float>().data();
  std::vector<std::byte> raw(byte_size(table.dtype(), count).value_or(0));
  for (size_t i = 0; i < rows.size(); ++i) {
    table.read(static_cast<uint64_t>(rows[i]) * count, count, raw.data());
    to_floats(raw.data(), table.dtype(), count, to + static_cast<int64_t>(i) * length);
  }
  return out;
}

// in[..., indices, ...] along an axis, as [outer, indices, inner].
Tensor taken(const Tensor& in, size_t axis, const std::vector<int64_t>& indices) {
  const int64_t outer = product(in.dims(), 0, axis);
  const int64_t inner = product(in.dims(), axis + 1, in.rank());
  const int64_t size = in.dim(axis);
  const auto count = static_cast<int64_t>(indices.size());
  return for_kind(in.kind(), [&]<typename T>(std::type_identity<T>) {
    Tensor out = Tensor::make<T>({outer, count, inner});
    const T* from = in.get<T>().data();
    T* to = out.edit<T>().data();
    for (int64_t o = 0; o < outer; ++o) {
      for (int64_t i = 0; i < count; ++i)
        std::copy_n(from + (o * size + indices[static_cast<size_t>(i)]) * inner, inner,
                    to + (o * count + i) * inner);
    }
    return out;
  });
}

void gather(Call& call) {
  const Weight* table = call.weight(0);
  const Dims dims = table != nullptr ? table->dims() : call.input(0).dims();
  const size_t axis = call.axis_attribute(0, dims.size());
  const Tensor& indices = call.input(1);
  const auto at = checked_indices(call, indices, dims[axis]);
  Dims out(dims.begin(), dims.begin() + static_cast<std::ptrdiff_t>(axis));
  out.insert(out.end(), indices.dims().begin(), indices.dims().end());
  out.insert(out.end(), dims.begin() + static_cast<std::ptrdiff_t>(axis) + 1, dims.end());
  const bool by_rows = table != nullptr && axis == 0 && kind_of(table->dtype()) == Kind::real;
  call.set(0, (by_rows ? weight_rows(*table, at) : taken(call.input(0), axis, at)).with_dims(out));
}

// body(position of the index, its offset in a tensor of dims `data` with the axis' coordinate replaced).
void for_each_element(const Call& call, const Dims& data, const Tensor& indices, size_t axis,
                      const std::function<void(size_t, int64_t)>& body) {
  call.require(indices.rank() == data.size(), "indices and data differ in rank");
  for (size_t i = 0; i < data.size(); ++i)
    call.require(i == axis || indices.dim(i) <= data[i], "indices reach beyond the data");
  const Dims strides = row_major(data);
  const auto at = indices.get<int64_t>();
  Dims place(data.size(), 0);
  for (size_t n = 0; n < at.size(); ++n) {
    int64_t offset = checked_index(call, at[n], data[axis]) * strides[axis];
    for (size_t i = 0; i < data.size(); ++i) offset += i == axis ? 0 : place[i] * strides[i];
    body(n, offset);
    for (size_t i = data.size(); i-- > 0;) {
      if (++place[i] < indices.dim(i)) break;
      place[i] = 0;
    }
  }
}

void gather_elements(Call& call) {
  const Tensor& data = call.input(0);
  const Tensor& indices = call.input(1);
  const size_t axis = call.axis_attribute(0, data.rank());
  call.set(0, for_kind(data.kind(), [&]<typename T>(std::type_identity<T>) {
             Tensor out = Tensor::make<T>(indices.dims());
             const auto from = data.get<T>();
             auto to = out.edit<T>();
             for_each_element(call, data.dims(), indices, axis,
                              [&](size_t n, int64_t offset) { to[n] = from[static_cast<size_t>(offset)]; });
             return out;
           }));
}

// Offsets of the slices that index tuples (the last dimension of `indices`) name in data[batch:...].
struct Tuples {
  std::vector<int64_t> offsets;
  int64_t slice = 1;  // Elements of each.
};

Tuples tuples_of(const Call& call, const Dims& data, const Tensor& indices, size_t batch_dims) {
  call.require(indices.rank() >= 1 && indices.rank() > batch_dims, "indices have too low a rank");
  const auto depth = static_cast<size_t>(indices.dims().back());
  call.require(batch_dims + depth <= data.size(), "index tuples are longer than the data has dimensions");
  const Dims strides = row_major(data);
  const int64_t batches = product(data, 0, batch_dims);
  const auto at = indices.get<int64_t>();
  const size_t count =
      depth == 0 ? static_cast<size_t>(product(indices.dims(), 0, indices.rank() - 1)) : at.size() / depth;
  const size_t per_batch = batches == 0 ? 0 : count / static_cast<size_t>(batches);
  Tuples out;
  out.slice = product(data, batch_dims + depth, data.size());
  const int64_t batch_stride = product(data, batch_dims, data.size());
  for (size_t n = 0; n < count; ++n) {
    int64_t offset = per_batch == 0 ? 0 : static_cast<int64_t>(n / per_batch) * batch_stride;
    for (size_t i = 0; i < depth; ++i) {
      const size_t axis = batch_dims + i;
      offset += checked_index(call, at[n * depth + i], data[axis]) * strides[axis];
    }
    out.offsets.push_back(offset);
  }
  return out;
}

void gather_nd(Call& call) {
  const Tensor& data = call.input(0);
  const Tensor& indices = call.input(1);
  const auto batch = static_cast<size_t>(call.attribute("batch_dims", int64_t{0}));
  const Tuples tuples = tuples_of(call, data.dims(), indices, batch);
  Dims dims(indices.dims().begin(), indices.dims().end() - 1);
  const auto depth = indices.dims().back();
  dims.insert(dims.end(), data.dims().begin() + static_cast<std::ptrdiff_t>(batch) + depth,
              data.dims().end());
  call.set(0, for_kind(data.kind(), [&]<typename T>(std::type_identity<T>) {
             Tensor out = Tensor::make<T>(dims);
             T* to = out.edit<T>().data();
             for (const int64_t offset : tuples.offsets)
               to = std::copy_n(data.get<T>().data() + offset, tuples.slice, to);
             return out;
           }));
}

template <typename T>
Tensor copy_of(const Tensor& in) {
  Tensor out = Tensor::make<T>(in.dims());
  std::copy_n(in.get<T>().begin(), in.count(), out.edit<T>().begin());
  return out;
}

template <typename T>
std::function<T(T, T)> reduction_of(const Call& call) {
  const std::string name = call.attribute("reduction", "none");
  if (name == "none") return [](T, T update) { return update; };
  if (name == "add") return [](T held, T update) { return static_cast<T>(held + update); };
  if (name == "mul") return [](T held, T update) { return static_cast<T>(held * update); };
  if (name == "max") return [](T held, T update) { return std::max(held, update); };
  if (name == "min") return [](T held, T update) { return std::min(held, update); };
  call.unsupported("the reduction " + name);
}

void scatter_elements(Call& call) {
  const Tensor& data = call.input(0);
  const Tensor& indices = call.input(1);
  const Tensor& updates = call.input(2);
  const size_t axis = call.axis_attribute(0, data.rank());
  call.require(updates.dims() == indices.dims(), "updates and indices differ in shape");
  call.set(0, for_kind(data.kind(), [&]<typename T>(std::type_identity<T>) {
             Tensor out = copy_of<T>(data);
             auto to = out.edit<T>();
             const auto from = updates.get<T>();
             const auto reduce = reduction_of<T>(call);
             for_each_element(call, data.dims(), indices, axis, [&](size_t n, int64_t offset) {
               T& held = to[static_cast<size_t>(offset)];
               held = reduce(held, from[n]);
             });
             return out;
           }));
}

void scatter_nd(Call& call) {
  const Tensor& data = call.input(0);
  const Tensor& updates = call.input(2);
  const Tuples tuples = tuples_of(call, data.dims(), call.input(1), 0);
  call.require(updates.count() == tuples.offsets.size() * static_cast<size_t>(tuples.slice),
               "there are not as many updates as the indices name");
  call.set(0, for_kind(data.kind(), [&]<typename T>(std::type_identity<T>) {
             Tensor out = copy_of<T>(data);
             T* to = out.edit<T>().data();
             const T* from = updates.get<T>().data();
             const auto reduce = reduction_of<T>(call);
             for (const int64_t offset : tuples.offsets) {
               for (int64_t i = 0; i < tuples.slice; ++i, ++from)
                 to[offset + i] = reduce(to[offset + i], *from);
             }
             return out;
           }));
}

// Writes a chunk of every batch into a cache, at a place of its own.
void tensor_scatter(Call& call) {
  const Tensor& cache = call.input(0);
  const Tensor& update = call.input(1);
  const size_t axis = call.axis_attribute(-2, cache.rank());
  const bool circular = call.attribute("mode", "linear") == "circular";
  call.require(axis > 0 && update.rank() == cache.rank(), "the axis is the batch's");
  const auto starts = call.integers(2, std::vector<int64_t>(static_cast<size_t>(cache.dim(0)), 0));
  const int64_t size = cache.dim(axis), length = update.dim(axis);
  const int64_t middle = product(cache.dims(), 1, axis);
  const int64_t inner = product(cache.dims(), axis + 1, cache.rank());
  call.require(static_cast<int64_t>(starts.size()) == cache.dim(0), "there is not one start a batch");
  call.require(static_cast<int64_t>(update.count()) == cache.dim(0) * middle * length * inner,
               "the update does not fit the cache");
  call.set(0, for_kind(cache.kind(), [&]<typename T>(std::type_identity<T>) {
             Tensor out = copy_of<T>(cache);
             const T* from = update.get<T>().data();
             T* to = out.edit<T>().data();
             for (int64_t outer = 0; outer < cache.dim(0) * middle; ++outer) {
               for (int64_t i = 0; i < length; ++i, from += inner) {
                 int64_t at = starts[static_cast<size_t>(outer / middle)] + i;
                 if (circular) at %= size;
                 call.require(at >= 0 && at < size, "the update reaches beyond the cache");
                 std::copy_n(from, inner, to + (outer * size + at) * inner);
               }
             }
             return out;
           }));
}

void reverse_sequence(Call& call) {
  const Tensor& in = call.input(0);
  const auto batch_axis = static_cast<size_t>(call.attribute("batch_axis", int64_t{1}));
  const auto time_axis = static_cast<size_t>(call.attribute("time_axis", int64_t{0}));
  call.require(in.rank() >= 2 && batch_axis < 2 && time_axis < 2 && batch_axis != time_axis,
               "batch and time are the first two axes");
  const auto lengths = call.integers(1);
  call.require(static_cast<int64_t>(lengths.size()) == in.dim(batch_axis), "there is not one length a batch");
  const int64_t inner = product(in.dims(), 2, in.rank());
  call.set(0, for_kind(in.kind(), [&]<typename T>(std::type_identity<T>) {
             Tensor out = Tensor::make<T>(in.dims());
             for (int64_t i = 0; i < in.dim(0); ++i) {
               for (int64_t j = 0; j < in.dim(1); ++j) {
                 const int64_t time = time_axis == 0 ? i : j;
                 const int64_t length = lengths[static_cast<size_t>(time_axis == 0 ? j : i)];
                 const int64_t from = time < length ? length - 1 - time : time;
                 call.require(from >= 0 && from < in.dim(time_axis), "a length is longer than the sequence");
                 const int64_t source = time_axis == 0 ? from * in.dim(1) + j : i * in.dim(1) + from;
                 std::copy_n(in.get<T>().data() + source * inner, inner,
                             out.edit<T>().data() + (i * in.dim(1) + j) * inner);
               }
             }
             return out;
           }));
}

constexpr Op kOps[] = {
    {"Gather", gather},
    {"GatherElements", gather_elements},
    {"GatherND", gather_nd},
    {"ScatterElements", scatter_elements},
    {"ScatterND", scatter_nd},
    {"TensorScatter", tensor_scatter},
    {"ReverseSequence", reverse_sequence},
};

}  // namespace

std::span<const Op> index_ops() {
  return kOps;
}

}  // namespace ferry::reference
