#include "runtime/data/bpe_tokenizer.h"

#include <algorithm>
#include <limits>
#include <queue>
#include <tuple>

#include "runtime/base/error.h"
#include "runtime/data/byte_alphabet.h"

namespace tranche {
namespace {

// What a pre-token came to is remembered while it is short and there is room; words of natural text repeat.
constexpr std::size_t longest_cached = 48, most_cached = 1 << 18;

// As the vocabularies in use name the token between documents.
constexpr std::array<const char*, 3> end_of_text_names{"<|endoftext|>", "<|end_of_text|>", "</s>"};

const PreTokenRule& rule_named(const std::string& rule, const std::string& name) {
  const PreTokenRule* const found = find_rule_by_name(rule);
  ensure(Exit::data, found != nullptr, name, ": the pre-token rule \"", rule, "\" is not known");
  return *found;
}

std::uint64_t pair_of(Token left, Token right) {
  return std::uint64_t{static_cast<std::uint32_t>(left)} << 32 | static_cast<std::uint32_t>(right);
}

}  // namespace

BpeTokenizer::BpeTokenizer(const BpeDefinition& definition, const std::string& name)
    : Tokenizer({kind, to_text(definition)}, definition.vocabulary.size()),
      pre_tokenizer_(rule_named(definition.rule, name)) {
  ensure(Exit::data, definition.vocabulary.size() <= std::numeric_limits<Token>::max(), name, ": too many tokens");
  std::unordered_map<std::string_view, Token> ids;
  for (const std::string& token : definition.vocabulary) {
    const auto id = static_cast<Token>(ids.size());
    ensure(Exit::data, ids.emplace(token, id).second, name, ": the token \"", token, "\" has two ids");
    bytes_.push_back(byte_alphabet::bytes_of(token));
    if (definition.whole_words) whole_words_.emplace(bytes_.back(), std::vector<Token>{id});
  }
  const auto id_of = [&](const std::string& token) {
    const auto found = ids.find(token);
    return found == ids.end() ? std::nullopt : std::optional{found->second};
  };

  for (std::size_t byte = 0; byte < 256; ++byte) {
    const std::string& symbol = byte_alphabet::symbol(static_cast<unsigned char>(byte));
    const std::optional<Token> id = id_of(symbol);
    ensure(Exit::data, id.has_value(), name, ": no token stands for the byte ", byte, " (\"", symbol,
           "\"): this is not a byte-level vocabulary");
    token_of_byte_[byte] = *id;
  }
  for (const auto& [left, right] : definition.merges) {
    const std::optional<Token> a = id_of(left), b = id_of(right), both = id_of(left + right);
    ensure(Exit::data, a && b && both, name, ": the merge of \"", left, "\" and \"", right,
           "\" needs both and their union in the vocabulary");
    merges_.emplace(pair_of(*a, *b), Merge{static_cast<std::uint32_t>(merges_.size()), *both});  // the first of equals
  }
  for (const char* const end : end_of_text_names)
    if (!end_of_text_) end_of_text_ = id_of(end);
}

const BpeTokenizer::Merge* BpeTokenizer::find_merge(Token left, Token right) const {
  const auto found = merges_.find(pair_of(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

std::vector<Token> BpeTokenizer::encode(std::string_view text) {
  std::vector<Token> tokens;
  tokens.reserve(text.size() / 4);
  pre_tokenizer_.split(text, [&](std::string_view word) { append_word(word, tokens); });
  return tokens;
}

void BpeTokenizer::append_word(std::string_view word, std::vector<Token>& tokens) {
  const auto append = [&](const std::vector<Token>& more) { tokens.insert(tokens.end(), more.begin(), more.end()); };
  if (const auto known = cache_.find(word); known != cache_.end()) return append(known->second);
  if (const auto whole = whole_words_.find(word); whole != whole_words_.end()) return append(whole->second);
  std::vector<Token> merged = merge(word);
  append(merged);
  if (word.size() <= longest_cached && cache_.size() < most_cached) cache_.emplace(word, std::move(merged));
}

// A linked list of symbols and a heap of the merges that are possible: n log n for a word of n bytes, however long.
std::vector<Token> BpeTokenizer::merge(std::string_view word) const {
  struct Symbol {
    Token token;
    std::size_t previous, next;  // word.size() for none
    bool gone = false;
  };
  struct Candidate {
    std::uint32_t rank;
    std::size_t left;
    Token left_token, right_token;  // as they were; one that changed since makes the candidate void
    Token result;
    bool operator<(const Candidate& other) const { return std::tie(rank, left) > std::tie(other.rank, other.left); }
  };
  const std::size_t none = word.size();
  std::vector<Symbol> symbols;
  symbols.reserve(word.size());
  for (std::size_t i = 0; i < word.size(); ++i)
    symbols.push_back({token_of_byte_[static_cast<unsigned char>(word[i])], i == 0 ? none : i - 1, i + 1});

  std::priority_queue<Candidate> candidates;
  const auto consider = [&](std::size_t left) {
    if (left == none || symbols[left].next == none) return;
    const Token a = symbols[left].token, b = symbols[symbols[left].next].token;
    if (const Merge* const found = find_merge(a, b)) candidates.push({found->rank, left, a, b, found->result});
  };
  for (std::size_t i = 0; i < symbols.size(); ++i) consider(i);

  while (!candidates.empty()) {
    const Candidate best = candidates.top();
    candidates.pop();
    Symbol& left = symbols[best.left];
    if (left.gone || left.token != best.left_token || left.next == none) continue;
    Symbol& right = symbols[left.next];
    if (right.token != best.right_token) continue;
    left.token = best.result;
    right.gone = true;
    left.next = right.next;
    if (left.next != none) symbols[left.next].previous = best.left;
    consider(left.previous);
    consider(best.left);
  }

  std::vector<Token> tokens;
  for (const Symbol& symbol : symbols)
    if (!symbol.gone) tokens.push_back(symbol.token);
  return tokens;
}

std::string BpeTokenizer::decode(std::span<const Token> tokens) const {
  check_range(tokens);
  std::string text;
  for (const Token token : tokens) text += bytes_[static_cast<std::size_t>(token)];
  return text;
}

}  // namespace tranche
