#include "compress/block_names.h"

namespace tranche::compress {
namespace {

const std::string prefix = "blocks.";

}  // namespace

std::optional<std::size_t> block_of(const std::string& name) {
  if (!name.starts_with(prefix)) return std::nullopt;
  return std::stoul(name.substr(prefix.size()));
}

std::string block_name(std::size_t block) { return prefix + std::to_string(block); }

std::string in_block(const std::string& name, std::size_t block) {
  return block_name(block) + name.substr(name.find('.', prefix.size()));
}

bool is_beside_the_model(const std::string& name) { return name.starts_with(beside_the_model); }

}  // namespace tranche::compress
