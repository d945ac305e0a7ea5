// How the tokens of a sample attend to each other in a student, beside how they do in its teacher: relations among
// queries, among keys and among values (MiniLM v2: Wang, Bao, Huang, Dong, Wei 2021), a term of the loss of
// distillation. Widths and numbers of heads of the two may differ.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "compress/block_pairs.h"

namespace tranche::compress {

enum class Projected : std::uint8_t { queries, keys, values };

// What a job file says in "distillation.attention".
struct AttentionRelationsConfig {
  BlockPairs pairs{};
  std::vector<Projected> of{Projected::queries, Projected::keys, Projected::values};
  std::size_t heads = 0;  // of relations; 0: as many as the student's attention has
  double weight = 1;      // of the mean over pairs and over `of`

  void declare(Section& attention);
  // Reads "of", once everything is loaded; `place` begins messages. Throws Exit::job_file for what names none.
  void complete(const std::string& place);
  // Throws Exit::job_file if this teacher has not the blocks, or heads do not divide what either projects.
  void check(const ModelConfig& student, const ModelConfig& teacher, const std::string& name_of_teacher) const;

  void ask_student(Taps& taps) const;
  void ask_teacher(Taps& taps) const;
  // loss + weight times the mean; taps filled. On the tape; no gradient reaches the teacher, which is null where there
  // are no pairs.
  Tensor added_to(Tensor loss, const ModelConfig& student, const Taps& of_student, const ModelConfig* teacher,
                  const Taps& of_teacher) const;

 private:
  std::size_t heads_for(const ModelConfig& student) const { return heads != 0 ? heads : student.heads; }

  Json of_ = Json::array({"queries", "keys", "values"});
};

// A fused projection: queries, keys, values.
struct FusedProjection {
  Tensor qkv;          // (batch, sequence, (shared + 2) * width of keys), of any floating dtype
  std::size_t shared;  // query heads for each head of keys and values
};

// factor times the mean over `of`, over relation heads a and over tokens i of the divergence of Kullback and Leibler
//   sum over j of t_ij log(t_ij / s_ij),  s_i = softmax over j of x_i . x_j / sqrt(d)
// of the teacher's t from the student's s, which is of one sample alone: x are the queries (keys, values) of its tokens
// in head a, the a-th of `heads` equal parts of d columns. Every token relates to every one, later ones included: the
// term compares how the projections lie to each other and not what attention hides. Returns (1) float32.
// Products and softmax are float32, in tiles of 128 tokens against all: no more than two such tiles are held. The
// gradient is made with the loss and kept in float32, as large as the student's qkv; it reaches the student alone,
// rounded once to its dtype. heads divide the widths of queries and keys of both.
Tensor attention_relations(const std::vector<Projected>& of, std::size_t heads, double factor,
                           const FusedProjection& student, const FusedProjection& teacher);

}  // namespace tranche::compress
