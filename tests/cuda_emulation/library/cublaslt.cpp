// Products as cuBLASLt's, by the host: sums in float32, in order. Refused, with INVALID_VALUE and a line on standard
// error: layouts that do not fit, an algorithm that was chosen for another product or for operands that are better
// aligned, an epilogue without what it needs, or what GELU's input is written to not as NVIDIA wants it. There is no
// algorithm where a column is no multiple of four bytes.
#include <cublasLt.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <vector>

#include "runtime/base/dtype.h"
#include "runtime/base/error.h"
#include "tests/cuda_emulation/library/device_work.h"

struct cublasLtContext {};
struct EmulatedMatmulDesc {
  cublasOperation_t transposes_a = CUBLAS_OP_N, transposes_b = CUBLAS_OP_N;
  cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  const void* bias = nullptr;
  void* beside = nullptr;  // the auxiliary output: what goes into GELU
  std::int64_t beside_leading_dimension = 0;
  std::int32_t beside_type = -1;  // d's

  bool has_bias() const { return epilogue == CUBLASLT_EPILOGUE_BIAS || epilogue == CUBLASLT_EPILOGUE_GELU_AUX_BIAS; }
  bool has_gelu() const {
    return epilogue == CUBLASLT_EPILOGUE_GELU_AUX || epilogue == CUBLASLT_EPILOGUE_GELU_AUX_BIAS;
  }
};
struct EmulatedMatrixLayout {
  cudaDataType_t type;
  std::uint64_t rows, columns;
  std::int64_t leading_dimension;
};
struct EmulatedMatmulPreference {
  std::uint64_t workspace = 0;
  std::uint32_t reductions = ~0u, alignment[4] = {256, 256, 256, 256};  // of a, b, c, d
};

using namespace tranche;
using namespace tranche::cuda_emulation;

namespace {

cublasStatus_t refuse(const std::string& why) {
  std::fprintf(stderr, "emulated cuBLASLt: %s\n", why.c_str());
  return CUBLAS_STATUS_INVALID_VALUE;
}

std::size_t bytes_of_element(cudaDataType_t type) { return type == CUDA_R_32F ? 4 : 2; }

float read(const void* data, cudaDataType_t type, std::size_t i) {
  if (type == CUDA_R_16BF) return to_float(static_cast<const bfloat16*>(data)[i]);
  if (type == CUDA_R_16F) return to_float(static_cast<const float16*>(data)[i]);
  return static_cast<const float*>(data)[i];
}
void write(void* data, cudaDataType_t type, std::size_t i, float value) {
  if (type == CUDA_R_16BF)
    static_cast<bfloat16*>(data)[i] = from_float<bfloat16>(value);
  else if (type == CUDA_R_16F)
    static_cast<float16*>(data)[i] = from_float<float16>(value);
  else
    static_cast<float*>(data)[i] = value;
}

// A matrix where it lies, one column after another; at(i, j) of it or of its transpose.
struct Operand {
  const void* data;
  EmulatedMatrixLayout layout;
  bool transposed = false;

  std::size_t rows() const { return transposed ? layout.columns : layout.rows; }
  std::size_t columns() const { return transposed ? layout.rows : layout.columns; }
  std::size_t place(std::size_t i, std::size_t j) const { return transposed ? j + i * step() : i + j * step(); }
  float at(std::size_t i, std::size_t j) const { return read(data, layout.type, place(i, j)); }
  std::size_t step() const { return static_cast<std::size_t>(layout.leading_dimension); }
  void access_all(bool writes) const {
    const std::size_t width = bytes_of_element(layout.type);
    for (std::size_t column = 0; column < layout.columns; ++column)
      access(static_cast<const std::byte*>(data) + column * step() * width, layout.rows * width, writes);
  }
};

std::string misfit(const Operand& a, const Operand& b, const EmulatedMatrixLayout& c, const EmulatedMatrixLayout& d) {
  if (a.rows() != d.rows || b.columns() != d.columns || a.columns() != b.rows())
    return str("(", a.rows(), ", ", a.columns(), ") times (", b.rows(), ", ", b.columns(), ") is not (", d.rows, ", ",
               d.columns, ")");
  if (c.rows != d.rows || c.columns != d.columns) return "c and d differ";
  for (const EmulatedMatrixLayout* each : {&a.layout, &b.layout, &c, &d}) {
    if (each->type != d.type) return "types differ";
    if (each->leading_dimension < static_cast<std::int64_t>(each->rows))
      return str("a leading dimension of ", each->leading_dimension, " for ", each->rows, " rows");
  }
  return {};
}

std::uint64_t alignment_of(const void* data) {
  const auto address = reinterpret_cast<std::uintptr_t>(data);
  return address == 0 ? 256 : std::min<std::uint64_t>(256, address & (~address + 1));
}

// What the epilogue lacks.
std::string flaw_of(const EmulatedMatmulDesc& description, const EmulatedMatrixLayout& d) {
  if (description.has_bias() != (description.bias != nullptr))
    return "a bias without its epilogue, or the other way round";
  if (description.has_gelu() != (description.beside != nullptr))
    return "an auxiliary output without its epilogue, or the other way round";
  if (!description.has_gelu()) return {};
  if (description.beside_leading_dimension % 8 != 0 ||
      description.beside_leading_dimension < static_cast<std::int64_t>(d.rows))
    return str("an auxiliary leading dimension of ", description.beside_leading_dimension, " for ", d.rows, " rows");
  if (alignment_of(description.beside) < 16) return "an auxiliary output that is not aligned to 16 bytes";
  if (description.beside_type != -1 && description.beside_type != static_cast<std::int32_t>(d.type))
    return "an auxiliary output of another type than d";
  return {};
}

// In an arithmetic of its own, as NVIDIA's is.
float gelu(float x) { return 0.5f * x * (1 + std::tanh(0.7978845608f * (x + 0.044715f * x * x * x))); }

// Of which product an algorithm is.
std::uint64_t mark_of(const EmulatedMatmulDesc& description, const Operand& a, const Operand& b,
                      const EmulatedMatrixLayout& d) {
  std::uint64_t mark = 1;
  for (const std::uint64_t each :
       {a.rows(), a.columns(), b.columns(), std::uint64_t{d.type}, std::uint64_t{a.transposed},
        std::uint64_t{b.transposed}, std::uint64_t{description.epilogue}})
    mark = (mark ^ each) * 0x100000001b3u;
  return mark;
}

}  // namespace

const char* cublasLtGetStatusString(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS: return "success";
    case CUBLAS_STATUS_NOT_SUPPORTED: return "not supported";
    case CUBLAS_STATUS_EXECUTION_FAILED: return "execution failed";
    case CUBLAS_STATUS_INVALID_VALUE: break;
  }
  return "invalid value";
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  *handle = new cublasLtContext;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  delete handle;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* description, cublasComputeType_t compute,
                                        cudaDataType_t scale) {
  if (compute != CUBLAS_COMPUTE_32F || scale != CUDA_R_32F) return refuse("sums are float32");
  *description = new EmulatedMatmulDesc;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t description) {
  delete description;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t description,
                                              cublasLtMatmulDescAttributes_t attribute, const void* value,
                                              std::size_t bytes) {
  const auto take = [&](auto& into) {
    if (bytes != sizeof into) return refuse(str("an attribute of ", bytes, " bytes, not ", sizeof into));
    std::memcpy(&into, value, bytes);
    return CUBLAS_STATUS_SUCCESS;
  };
  switch (attribute) {
    case CUBLASLT_MATMUL_DESC_TRANSA: return take(description->transposes_a);
    case CUBLASLT_MATMUL_DESC_TRANSB: return take(description->transposes_b);
    case CUBLASLT_MATMUL_DESC_EPILOGUE: return take(description->epilogue);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER: return take(description->bias);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER: return take(description->beside);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD: return take(description->beside_leading_dimension);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_DATA_TYPE: return take(description->beside_type);
  }
  return refuse("an attribute that the emulator does not know");
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType_t type, std::uint64_t rows,
                                          std::uint64_t columns, std::int64_t leading_dimension) {
  *layout = new EmulatedMatrixLayout{type, rows, columns, leading_dimension};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  delete layout;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
  *preference = new EmulatedMatmulPreference;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  delete preference;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute, const void* value,
                                                    std::size_t bytes) {
  if (attribute == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES) {
    std::memcpy(&preference->workspace, value, sizeof preference->workspace);
    return bytes == sizeof preference->workspace ? CUBLAS_STATUS_SUCCESS : refuse("a workspace's size is uint64");
  }
  std::uint32_t number = 0;
  if (bytes != sizeof number) return refuse(str("a preference of ", bytes, " bytes"));
  std::memcpy(&number, value, bytes);
  if (attribute == CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK)
    preference->reductions = number;
  else
    preference->alignment[attribute - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES] = number;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t description,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int wanted,
                                              cublasLtMatmulHeuristicResult_t* results, int* found) {
  const Operand left{nullptr, *a, description->transposes_a == CUBLAS_OP_T},
      right{nullptr, *b, description->transposes_b == CUBLAS_OP_T};
  if (const std::string why = misfit(left, right, *c, *d); !why.empty()) return refuse(why);
  if (const std::string why = flaw_of(*description, *d); !why.empty()) return refuse(why);
  if (preference->reductions != CUBLASLT_REDUCTION_SCHEME_NONE)
    return refuse("sums must not be divided: no fixed order");
  *found = 0;
  for (const EmulatedMatrixLayout* each : {a, b, d})
    if (each->rows == 0 || each->columns == 0 || each->rows * bytes_of_element(each->type) % 4 != 0)
      return CUBLAS_STATUS_NOT_SUPPORTED;
  if (wanted < 1) return CUBLAS_STATUS_SUCCESS;
  *results = {};
  results->algo.data[0] = mark_of(*description, left, right, *d);
  for (std::size_t i = 0; i < 4; ++i) results->algo.data[1 + i] = preference->alignment[i];
  results->algo.data[5] = alignment_of(description->bias);
  results->algo.data[6] = alignment_of(description->beside);
  *found = 1;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t description, const void* alpha, const void* a,
                              cublasLtMatrixLayout_t a_layout, const void* b, cublasLtMatrixLayout_t b_layout,
                              const void* beta, const void* c, cublasLtMatrixLayout_t c_layout, void* d,
                              cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t* algorithm, void*,
                              std::size_t, cudaStream_t stream) {
  const Operand left{a, *a_layout, description->transposes_a == CUBLAS_OP_T},
      right{b, *b_layout, description->transposes_b == CUBLAS_OP_T}, result{d, *d_layout};
  if (const std::string why = misfit(left, right, *c_layout, *d_layout); !why.empty()) return refuse(why);
  if (algorithm->data[0] != mark_of(*description, left, right, *d_layout))
    return refuse("the algorithm was chosen for another product");
  if (const std::string why = flaw_of(*description, *d_layout); !why.empty()) return refuse(why);
  const void* const operands[] = {a, b, c, d, description->bias, description->beside};
  for (std::size_t i = 0; i < std::size(operands); ++i)
    if (reinterpret_cast<std::uintptr_t>(operands[i]) % algorithm->data[1 + i] != 0)
      return refuse(str("operand ", i, " is not aligned to the ", algorithm->data[1 + i],
                        " bytes for which the algorithm was chosen"));
  float factor = 0, added = 0;
  std::memcpy(&factor, alpha, sizeof factor);
  std::memcpy(&added, beta, sizeof added);
  if (factor != 1 || (added != 0 && c != d)) return refuse("alpha other than 1, or c other than d, is not emulated");
  if (description->has_gelu() && added != 0) return refuse("GELU of a sum that is added to c is not emulated");

  const cudaDataType_t type = d_layout->type;
  const Operand before{description->beside,
                       {type, d_layout->rows, d_layout->columns, description->beside_leading_dimension}};
  enqueue(stream, "a product", [=, bias = description->bias, beside = description->beside] {
    as_copy("a product", [&] {
      left.access_all(false);
      right.access_all(false);
      if (bias != nullptr) access(bias, result.layout.rows * bytes_of_element(type), false);
      if (added != 0) result.access_all(false);
      if (beside != nullptr) before.access_all(true);
      result.access_all(true);
    });
    for (std::size_t j = 0; j < result.layout.columns; ++j)
      for (std::size_t i = 0; i < result.layout.rows; ++i) {
        float sum = 0;
        for (std::size_t k = 0; k < left.columns(); ++k) sum = std::fma(left.at(i, k), right.at(k, j), sum);
        if (bias != nullptr) sum += read(bias, type, i);
        if (added != 0) sum += result.at(i, j);
        if (beside != nullptr) write(beside, type, before.place(i, j), sum);
        write(d, type, result.place(i, j), beside != nullptr ? gelu(sum) : sum);
      }
  });
  return broken() ? CUBLAS_STATUS_EXECUTION_FAILED : CUBLAS_STATUS_SUCCESS;
}
