#include "compress/scheme.h"

#include <array>

#include "runtime/base/error.h"

namespace tranche::compress {
namespace {

constexpr std::array<std::string_view, 10> scheme_names{"int8-dynamic", "int8-static", "int8-weight", "int4-weight",
                                                        "int2-weight",  "float16",     "bfloat16",    "signs",
                                                        "scaled-signs", "sparse"};
constexpr std::array<std::string_view, 9> form_names{"float32", "float16", "bfloat16", "int8", "int4",
                                                     "int2",    "signs",   "bitmap",   "2:4"};

}  // namespace

std::string_view name_of(Scheme scheme) { return scheme_names[static_cast<std::size_t>(scheme)]; }
std::string_view name_of(TensorForm form) { return form_names[static_cast<std::size_t>(form)]; }

Scheme scheme_named(const std::string& name) {
  std::string known;
  for (std::size_t i = 0; i < scheme_names.size(); ++i) {
    if (scheme_names[i] == name) return static_cast<Scheme>(i);
    known += str(i == 0 ? "" : ", ", scheme_names[i]);
  }
  fail(Exit::usage, str("there is no scheme '", name, "': expected one of ", known));
}

TensorForm form_named(std::string_view name, const std::string& where) {
  for (std::size_t i = 0; i < form_names.size(); ++i)
    if (form_names[i] == name) return static_cast<TensorForm>(i);
  fail(Exit::checkpoint, str(where, ": a tensor of form '", name, "', which this version does not know"));
}

Plan plan_of(Scheme scheme, std::size_t group, const Shape& shape, bool table) {
  if (shape.dimensions() != 2) return {};
  switch (scheme) {
    case Scheme::int8_dynamic:
    case Scheme::int8_static: return {TensorForm::int8, shape.cols()};
    case Scheme::int8_weight: return {TensorForm::int8, group};
    case Scheme::int4_weight: return table ? Plan{TensorForm::int8, most_in_group} : Plan{TensorForm::int4, group};
    case Scheme::int2_weight: return table ? Plan{TensorForm::int8, most_in_group} : Plan{TensorForm::int2, group};
    case Scheme::float16: return {TensorForm::float16, 0};
    case Scheme::bfloat16:
    case Scheme::signs:
    case Scheme::scaled_signs:
    case Scheme::sparse: break;
  }
  return {TensorForm::bfloat16, 0};
}

ops::ActivationForm activations_of(Scheme scheme) {
  const bool bytes = scheme == Scheme::int8_dynamic || scheme == Scheme::int8_static;
  return bytes ? ops::ActivationForm::bytes : ops::ActivationForm::words;
}

}  // namespace tranche::compress
