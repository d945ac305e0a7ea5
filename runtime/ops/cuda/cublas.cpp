#include "runtime/ops/cuda/cublas.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "runtime/base/error.h"

namespace tranche::ops::cuda {
namespace {

void succeed(cublasStatus_t status, const char* what) {
  ensure(Exit::internal, status == CUBLAS_STATUS_SUCCESS, what, " failed: ", cublasLtGetStatusString(status));
}

template <class T, cublasStatus_t (*destroy)(T)> struct Destroy {
  using pointer = T;
  void operator()(T handle) const { destroy(handle); }
};
template <class T, cublasStatus_t (*destroy)(T)> using Handle = std::unique_ptr<T, Destroy<T, destroy>>;
using Library = Handle<cublasLtHandle_t, cublasLtDestroy>;
using Description = Handle<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using Layout = Handle<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using Preference = Handle<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

cudaDataType_t type_of(DType dtype) {
  if (dtype == DType::bfloat16) return CUDA_R_16BF;
  return dtype == DType::float16 ? CUDA_R_16F : CUDA_R_32F;
}

// cuBLASLt's own unit; more is of no use to it.
std::uint32_t alignment_of(const void* data) {
  constexpr std::uintptr_t most = 256;
  const auto address = reinterpret_cast<std::uintptr_t>(data);
  return static_cast<std::uint32_t>(address == 0 ? most : std::min(most, address & (~address + 1)));
}

Layout layout_of(const BlasProduct& p, std::size_t rows, std::size_t columns) {
  cublasLtMatrixLayout_t layout = nullptr;
  succeed(cublasLtMatrixLayoutCreate(&layout, type_of(p.dtype), rows, columns, static_cast<std::int64_t>(rows)),
          "cublasLtMatrixLayoutCreate");
  return Layout{layout};
}

// All that does not change from one product of a shape to the next.
struct Prepared {
  Description description;
  Layout a, b, d;
  std::optional<cublasLtMatmulAlgo_t> algorithm;  // none: there is none
};

template <class T> void set(const Description& description, cublasLtMatmulDescAttributes_t attribute, const T& value) {
  succeed(cublasLtMatmulDescSetAttribute(description.get(), attribute, &value, sizeof value),
          "cublasLtMatmulDescSetAttribute");
}
template <class T>
void set(const Preference& preference, cublasLtMatmulPreferenceAttributes_t attribute, const T& value) {
  succeed(cublasLtMatmulPreferenceSetAttribute(preference.get(), attribute, &value, sizeof value),
          "cublasLtMatmulPreferenceSetAttribute");
}

cublasLtEpilogue_t epilogue_of(const BlasProduct& p) {
  if (p.before != nullptr) return p.bias != nullptr ? CUBLASLT_EPILOGUE_GELU_AUX_BIAS : CUBLASLT_EPILOGUE_GELU_AUX;
  return p.bias != nullptr ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
}

// Columns at multiples of eight elements are the library's condition; sixteen bytes are ours, as much as any vector of
// its kernels needs.
bool can_be_written_beside(const BlasProduct& p) { return p.m % 8 == 0 && alignment_of(p.before) >= 16; }

// An algorithm is chosen by their alignment too.
void set_addresses(const Description& description, const BlasProduct& p) {
  if (p.bias != nullptr) set(description, CUBLASLT_MATMUL_DESC_BIAS_POINTER, p.bias);
  if (p.before != nullptr) set(description, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, p.before);
}

Preference preference_for(const BlasProduct& p) {
  cublasLtMatmulPreference_t made = nullptr;
  succeed(cublasLtMatmulPreferenceCreate(&made), "cublasLtMatmulPreferenceCreate");
  Preference preference{made};
  // A sum that is divided among thread blocks is put together in no fixed order, or needs a workspace.
  set(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, std::uint32_t{CUBLASLT_REDUCTION_SCHEME_NONE});
  set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t{0});
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment_of(p.a));
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment_of(p.b));
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment_of(p.d));
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment_of(p.d));
  return preference;
}

std::shared_ptr<const Prepared> prepare(cublasLtHandle_t library, const BlasProduct& p) {
  auto prepared = std::make_shared<Prepared>();
  cublasLtMatmulDesc_t description = nullptr;
  succeed(cublasLtMatmulDescCreate(&description, CUBLAS_COMPUTE_32F, CUDA_R_32F), "cublasLtMatmulDescCreate");
  prepared->description.reset(description);
  set(prepared->description, CUBLASLT_MATMUL_DESC_TRANSA, p.transposes_a ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(prepared->description, CUBLASLT_MATMUL_DESC_TRANSB, p.transposes_b ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(prepared->description, CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue_of(p));
  if (p.before != nullptr)
    set(prepared->description, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, static_cast<std::int64_t>(p.m));
  set_addresses(prepared->description, p);
  prepared->a = p.transposes_a ? layout_of(p, p.k, p.m) : layout_of(p, p.m, p.k);
  prepared->b = p.transposes_b ? layout_of(p, p.n, p.k) : layout_of(p, p.k, p.n);
  prepared->d = layout_of(p, p.m, p.n);
  const Preference preference = preference_for(p);
  cublasLtMatmulHeuristicResult_t result{};
  int found = 0;
  const cublasStatus_t status =
      cublasLtMatmulAlgoGetHeuristic(library, prepared->description.get(), prepared->a.get(), prepared->b.get(),
                                     prepared->d.get(), prepared->d.get(), preference.get(), 1, &result, &found);
  if (status != CUBLAS_STATUS_NOT_SUPPORTED) succeed(status, "cublasLtMatmulAlgoGetHeuristic");
  if (status == CUBLAS_STATUS_SUCCESS && found == 1 && result.state == CUBLAS_STATUS_SUCCESS)
    prepared->algorithm = result.algo;
  return prepared;
}

// One for a GPU, which is the thread's own.
class Products {
 public:
  Products() {
    cublasLtHandle_t made = nullptr;
    succeed(cublasLtCreate(&made), "cublasLtCreate");
    library_.reset(made);
  }

  bool run(const BlasProduct& p, cudaStream_t stream) {
    if (p.before != nullptr && !can_be_written_beside(p)) return false;
    const std::shared_ptr<const Prepared> prepared = prepared_for(p);
    if (!prepared->algorithm) return false;
    // Addresses are part of the description: one product at a time is given to the library.
    const std::lock_guard lock{mutex_};
    set_addresses(prepared->description, p);
    const float one = 1, added = p.adds ? 1 : 0;
    succeed(cublasLtMatmul(library_.get(), prepared->description.get(), &one, p.a, prepared->a.get(), p.b,
                           prepared->b.get(), &added, p.d, prepared->d.get(), p.d, prepared->d.get(),
                           &*prepared->algorithm, nullptr, 0, stream),
            "cublasLtMatmul");
    return true;
  }

 private:
  std::shared_ptr<const Prepared> prepared_for(const BlasProduct& p) {
    const Key key{
        static_cast<std::size_t>(p.dtype),
        std::size_t{p.transposes_a} + 2 * std::size_t{p.transposes_b} + 4 * static_cast<std::size_t>(epilogue_of(p)),
        p.m,
        p.n,
        p.k,
        alignment_of(p.a),
        alignment_of(p.b),
        alignment_of(p.d),
        alignment_of(p.bias),
        alignment_of(p.before)};
    const std::lock_guard lock{mutex_};
    if (const auto known = known_.find(key); known != known_.end()) return known->second;
    if (known_.size() == most) known_.clear();
    return known_[key] = prepare(library_.get(), p);
  }

  using Key = std::array<std::size_t, 10>;
  static constexpr std::size_t most = 4096;  // shapes of a training run are a few dozen; generation may bring many

  Library library_;
  std::mutex mutex_;
  std::map<Key, std::shared_ptr<const Prepared>> known_;
};

}  // namespace

bool multiply(const BlasProduct& product, cudaStream_t stream) {
  static Products& products = *new Products;  // NVIDIA's own state may end before ours
  return products.run(product, stream);
}

}  // namespace tranche::ops::cuda
