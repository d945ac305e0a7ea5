#include "compress/block_pairs.h"

#include "compress/block_names.h"
#include "runtime/base/settings.h"

namespace tranche::compress {

void BlockPairs::declare(Section& section, const std::string& about) {
  section.key("pairs", text_)
      .about("Blocks of the student and of its one teacher, counted from 0: `[[0, 1], [1, 3]]`; " + about +
             " Empty: none.");
}

void BlockPairs::complete(const std::string& place, const std::string& key, std::size_t layers) {
  key_ = str('"', key, '"');
  const auto block = [&](const Json& each) {
    const std::optional<std::size_t> number = json_as<std::size_t>(each);
    ensure(Exit::job_file, number.has_value(), place, key_, " must hold numbers of blocks, found ", json_excerpt(each));
    return *number;
  };
  ensure(Exit::job_file, text_.is_array(), place, key_, " must be a list of pairs, found ", json_excerpt(text_));
  for (const Json& each : text_) {
    ensure(Exit::job_file, each.is_array() && each.size() == 2, place, key_,
           " must hold pairs of a block of the student and one of the teacher, such as [1, 3], found ",
           json_excerpt(each));
    const BlockPair pair{block(each[0]), block(each[1])};
    ensure(Exit::job_file, pair.student < layers, place, key_, " names block ", pair.student,
           " of the student, which has ", layers, " (counted from 0)");
    all.push_back(pair);
  }
}

void BlockPairs::check(const ModelConfig& teacher, const std::string& name_of_teacher) const {
  for (const BlockPair& pair : all)
    ensure(Exit::job_file, pair.teacher < teacher.layers, key_, " names block ", pair.teacher, " of the teacher ",
           name_of_teacher, ", which has ", teacher.layers, " (counted from 0)");
}

void BlockPairs::ask_student(Taps& taps, const std::string& part) const {
  for (const BlockPair& pair : all) taps[block_name(pair.student) + part];
}

void BlockPairs::ask_teacher(Taps& taps, const std::string& part) const {
  for (const BlockPair& pair : all) taps[block_name(pair.teacher) + part];
}

}  // namespace tranche::compress
