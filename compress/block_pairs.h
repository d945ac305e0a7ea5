// Blocks of a student and blocks of its teacher that a term of distillation compares.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "runtime/models/model.h"

namespace tranche {

class Section;

namespace compress {

// Counted from 0.
struct BlockPair {
  std::size_t student, teacher;
};

// The key "pairs" of a section of "distillation", and what it says.
struct BlockPairs {
  std::vector<BlockPair> all{};  // none: the term is off

  // about: what of the two blocks is compared, and how, for the reference page.
  void declare(Section& section, const std::string& about);
  // Reads the key, once everything is loaded; `place` begins messages, `key` is its path. Throws Exit::job_file for
  // what are no pairs, and for blocks that a student of `layers` has not.
  void complete(const std::string& place, const std::string& key, std::size_t layers);
  // Throws Exit::job_file if this teacher has not the blocks.
  void check(const ModelConfig& teacher, const std::string& name_of_teacher) const;

  bool empty() const { return all.empty(); }
  const std::string& key() const { return key_; }  // "\"distillation.hidden_states.pairs\"", for messages
  // Asks for what these blocks give. `part` is a part of the block (".attention.qkv"), or "" for the residual stream
  // behind it.
  void ask_student(Taps& taps, const std::string& part = "") const;
  void ask_teacher(Taps& taps, const std::string& part = "") const;

 private:
  Json text_ = Json::array();
  std::string key_;
};

}  // namespace compress
}  // namespace tranche
