#pragma once
// What session.cc and binding.cc share.
#include <string>
#include <vector>

#include "ort/api.h"
#include "ort/session.h"

namespace ferry::ort {

struct Session::Impl {
  explicit Impl(Runtime owner) : runtime(std::move(owner)) {}
  Runtime runtime;
  Ort::Session session{nullptr};
  std::vector<ValueInfo> inputs;
  std::vector<ValueInfo> outputs;
};

/// The one named so. Errors: Error{not_found} that lists the names there are.
const ValueInfo& find_value(const std::vector<ValueInfo>& infos, std::string_view name,
                            std::string_view kind);
/// Errors: Error{dtype_mismatch}, Error{shape_mismatch} unless a tensor fits what the model declares.
void check_fits(const ValueInfo& info, DType dtype, const Dims& dims, std::string_view kind);

}  // namespace ferry::ort
