// Names of what lies in a model's blocks, "blocks.3.mlp.up.weight", and of what is trained beside it.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

namespace tranche::compress {

// 3; none for what lies in no block.
std::optional<std::size_t> block_of(const std::string& name);
// "blocks.3": the unit's name.
std::string block_name(std::size_t block);
// The same in another block, of a name that lies in one: "blocks.1.mlp.up.weight".
std::string in_block(const std::string& name, std::size_t block);

// Of units and parameters that are trained with a model and are not of it: "distillation.hidden_states.0.weight". Who
// evaluates, packs or goes on from the model leaves them; nobody prunes or quantizes them.
inline constexpr const char* beside_the_model = "distillation.";
bool is_beside_the_model(const std::string& name);

}  // namespace tranche::compress
