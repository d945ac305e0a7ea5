#include "runtime/ops/embedding.h"

#include <limits>

#include "runtime/ops/indices.h"

namespace tranche::ops {
namespace {

void check_tokens(std::string_view op, const Tensor& tokens, std::size_t vocabulary) {
  check_dtype(op, "tokens", tokens, DType::int32);
  // Places among the tokens are kept as 32-bit numbers.
  check(tokens.size() <= std::numeric_limits<std::int32_t>::max(), op, ": ", tokens.size(), " tokens are too many");
  check(vocabulary > 0, op, ": the table is empty");
  check_indices(op, "token", tokens, vocabulary, 0);
}

}  // namespace

void embedding(const Tensor& tokens, const Tensor& table, const Tensor& y) {
  check_floating("embedding", "table", table);
  check_alike("embedding", "y", y, table);
  check_device("embedding", "tokens", tokens, table);
  check(y.cols() == table.cols(), "embedding: y has rows of ", y.cols(), ", the table of ", table.cols());
  check_size("embedding", "y", y, tokens.size() * table.cols());
  check_tokens("embedding", tokens, table.rows());
  kernels_of(table.device())
      .embedding.forward(table.device(), {.tokens = elements_of(tokens).as<const std::int32_t>(),
                                          .table = elements_of(table),
                                          .y = elements_of(y),
                                          .count = tokens.size(),
                                          .width = table.cols()});
}

void positions(const Tensor& numbers, std::size_t first) {
  check_dtype("positions", "numbers", numbers, DType::int32);
  kernels_of(numbers.device())
      .embedding.positions(numbers.device(), {.numbers = elements_of(numbers).as<std::int32_t>(),
                                              .rows = numbers.rows(),
                                              .sequence = numbers.cols(),
                                              .first = first});
}

void embedding_gradient(const Tensor& tokens, const Tensor& dy, const Destination& dtable) {
  if (!dtable) return;
  const Tensor& table = dtable.tensor;
  check_floating("embedding_gradient", "dy", dy);
  check_alike("embedding_gradient", "dtable", table, dy);
  check_device("embedding_gradient", "tokens", tokens, dy);
  check(dy.cols() == table.cols(), "embedding_gradient: dy has rows of ", dy.cols(), ", dtable of ", table.cols());
  check_size("embedding_gradient", "dy", dy, tokens.size() * table.cols());
  check_tokens("embedding_gradient", tokens, table.rows());
  kernels_of(dy.device())
      .embedding.gradient(dy.device(), {.tokens = elements_of(tokens).as<const std::int32_t>(),
                                        .dy = elements_of(dy),
                                        .dtable = target_of(dtable),
                                        .count = tokens.size(),
                                        .vocabulary = table.rows(),
                                        .width = table.cols()});
}

}  // namespace tranche::ops
