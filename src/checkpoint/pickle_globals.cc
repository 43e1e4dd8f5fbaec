#include "checkpoint/pickle_globals.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace ferry::checkpoint {
namespace {
using Role = GlobalRole;

constexpr std::array kGlobals = {
    Global{"collections.OrderedDict", Role::dict},
    Global{"collections.Counter", Role::dict},
    Global{"torch._utils._rebuild_tensor", Role::rebuild_tensor},
    Global{"torch._utils._rebuild_tensor_v2", Role::rebuild_tensor},
    Global{"torch._utils._rebuild_tensor_v3", Role::rebuild_tensor_v3},
    Global{"torch._utils._rebuild_parameter", Role::rebuild_parameter},
    Global{"torch._utils._rebuild_parameter_with_state", Role::rebuild_parameter},
    Global{"torch._tensor._rebuild_from_type_v2", Role::rebuild_from_type},
    Global{"torch.nn.parameter.Parameter", Role::parameter},
    Global{"torch.Tensor", Role::tensor_class},
    Global{"torch.Size", Role::size},
    Global{"torch.device", Role::opaque},
    Global{"torch.serialization._get_layout", Role::opaque},
    Global{"builtins.set", Role::opaque},
    Global{"builtins.complex", Role::opaque},
    Global{"_codecs.encode", Role::opaque},
    Global{"numpy.core.multiarray.scalar", Role::opaque},
    Global{"numpy._core.multiarray.scalar", Role::opaque},
    Global{"numpy.dtype", Role::opaque},

    Global{"torch.FloatStorage", Role::storage, DType::f32},
    Global{"torch.DoubleStorage", Role::storage, DType::f64},
    Global{"torch.HalfStorage", Role::storage, DType::f16},
    Global{"torch.BFloat16Storage", Role::storage, DType::bf16},
    Global{"torch.LongStorage", Role::storage, DType::i64},
    Global{"torch.IntStorage", Role::storage, DType::i32},
    Global{"torch.ShortStorage", Role::storage, DType::i16},
    Global{"torch.CharStorage", Role::storage, DType::i8},
    Global{"torch.ByteStorage", Role::storage, DType::u8},
    Global{"torch.BoolStorage", Role::storage, DType::boolean},
    Global{"torch.ComplexFloatStorage", Role::storage, DType::c64},
    Global{"torch.ComplexDoubleStorage", Role::storage, DType::c128},
    Global{"torch.storage.UntypedStorage", Role::storage, DType::u8},

    Global{"torch.float32", Role::dtype, DType::f32},
    Global{"torch.float64", Role::dtype, DType::f64},
    Global{"torch.float16", Role::dtype, DType::f16},
    Global{"torch.bfloat16", Role::dtype, DType::bf16},
    Global{"torch.int64", Role::dtype, DType::i64},
    Global{"torch.int32", Role::dtype, DType::i32},
    Global{"torch.int16", Role::dtype, DType::i16},
    Global{"torch.int8", Role::dtype, DType::i8},
    Global{"torch.uint8", Role::dtype, DType::u8},
    Global{"torch.uint16", Role::dtype, DType::u16},
    Global{"torch.uint32", Role::dtype, DType::u32},
    Global{"torch.uint64", Role::dtype, DType::u64},
    Global{"torch.bool", Role::dtype, DType::boolean},
    Global{"torch.complex64", Role::dtype, DType::c64},
    Global{"torch.complex128", Role::dtype, DType::c128},
    Global{"torch.float8_e4m3fn", Role::dtype, DType::f8_e4m3fn},
    Global{"torch.float8_e5m2", Role::dtype, DType::f8_e5m2},
    Global{"torch.float8_e4m3fnuz", Role::dtype, DType::f8_e4m3fnuz},
    Global{"torch.float8_e5m2fnuz", Role::dtype, DType::f8_e5m2fnuz},
    Global{"torch.float8_e8m0fnu", Role::dtype, DType::f8_e8m0},

    Global{"torch._utils._rebuild_sparse_tensor", Role::known_but_not_read},
    Global{"torch._utils._rebuild_qtensor", Role::known_but_not_read},
    Global{"torch._utils._rebuild_nested_tensor", Role::known_but_not_read},
    Global{"torch._utils._rebuild_meta_tensor_no_storage", Role::known_but_not_read},
    Global{"torch._utils._rebuild_wrapper_subclass", Role::known_but_not_read},
    Global{"torch._utils._rebuild_device_tensor_from_numpy", Role::known_but_not_read},
    Global{"torch._utils._rebuild_device_tensor_from_cpu_tensor", Role::known_but_not_read},
    Global{"builtins.bytearray", Role::known_but_not_read},
    Global{"torch.storage.TypedStorage", Role::known_but_not_read},
};

// Element and storage types of quantized and sub-byte tensors, and the tensor classes of PyTorch before 0.4.
bool is_known_family(std::string_view dotted) {
  for (const auto prefix :
       {"torch.QInt", "torch.QUInt", "torch.qint", "torch.quint", "torch.per_", "torch.bits", "torch.sparse.",
        "torch.complex32", "torch.float4", "torch.int", "torch.uint"}) {
    if (starts_with(dotted, prefix)) return true;
  }
  return starts_with(dotted, "torch.") && ends_with(dotted, "Tensor");
}

}  // namespace

const Global* find_global(std::string_view module, std::string_view name) {
  static constexpr Global kKnownFamily{"", Role::known_but_not_read};
  if (module == "__builtin__") module = "builtins";  // Python 2's name.
  if (module == "torch.cuda") module = "torch";      // Saved from a GPU.
  std::string dotted(module);
  dotted += '.';
  dotted += name;
  const auto* row = std::find_if(kGlobals.begin(), kGlobals.end(),
                                 [&](const Global& global) { return global.name == dotted; });
  if (row != kGlobals.end()) return row;
  return is_known_family(dotted) ? &kKnownFamily : nullptr;
}

}  // namespace ferry::checkpoint
