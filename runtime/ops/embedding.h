// Rows of a table, chosen by number.
#pragma once

#include "runtime/ops/destination.h"

namespace tranche::ops {

// y[i] = table[tokens[i]].  tokens: (n) int32 in [0, vocabulary), table: (vocabulary, width), y: (n, width).
// Throws Exit::data on a token outside the table, naming its place.
void embedding(const Tensor& tokens, const Tensor& table, const Tensor& y);

// numbers[row, i] = first + i.  numbers: (rows, sequence) int32
void positions(const Tensor& numbers, std::size_t first = 0);

// dtable[v] = the sum of dy[i] over all i with tokens[i] == v, in float32 and in order of i, rounded once. Rows that no
// token names become zero, or keep what they hold.
void embedding_gradient(const Tensor& tokens, const Tensor& dy, const Destination& dtable);

}  // namespace tranche::ops
