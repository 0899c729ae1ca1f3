#include "modules_registry/version_pairs.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

#include "modules_registry/database.h"
#include "modules_registry/error.h"
#include "modules_registry/recent.h"

namespace mformer {

namespace {

constexpr std::size_t kVersions = 16;
constexpr std::size_t kBanks = 500;  // some ten versions of a large model: some MB
constexpr std::size_t kSmallRows = 20'000;

using Ids = std::vector<std::int64_t>;  // in their order, each once

struct StoredObject {
  std::string hash;
  std::int64_t bytes = 0;
};

struct StoredRevision {
  std::string module, object_hash;
};

struct Member {
  std::int64_t revision = 0;
  bool frozen = false;
  bool operator==(const Member&) const = default;
};

struct SharedBank {
  int layer = 0;
  Kind kind = Kind::att;
  std::vector<Member> members;  ///< in their order
  Ids objects;
};

struct SharedParts {
  std::vector<TrunkPart> parts;
  Ids objects;
};

struct BankPlace {
  std::shared_ptr<const SharedBank> bank;
  std::int64_t router = 0;
};

/// A version as it shares its rows with others: what is the same has the same address.
struct SharedVersion {
  std::string config, tokenizer;
  std::shared_ptr<const SharedParts> parts;
  std::vector<BankPlace> banks;  ///< by layer and kind

  std::size_t layers() const { return (banks.size() + 1) / 2; }
  const BankPlace* at(int layer, Kind kind) const {
    const auto found = std::find_if(banks.begin(), banks.end(), [&](const BankPlace& place) {
      return place.bank->layer == layer && place.bank->kind == kind;
    });
    return found == banks.end() ? nullptr : &*found;
  }
};

void sort_ids(Ids& ids) {
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
}

void take_away(Ids& ids, const Ids& others) {
  std::erase_if(ids, [&](std::int64_t id) { return std::binary_search(others.begin(), others.end(), id); });
}

}  // namespace

class VersionPairs::Rows {
 public:
  explicit Rows(Database& db) : db_(db) {}

  std::shared_ptr<const SharedVersion> version(const std::string& hash) {
    return versions_.get(hash, [this](const std::string& wanted) { return read_version(wanted); });
  }
  const StoredObject& object(std::int64_t id) {
    return objects_.get(id, [this](std::int64_t wanted) {
      object_.bind(wanted);
      return object_.next() ? StoredObject{object_.text(0), object_.integer(1)} : StoredObject();
    });
  }
  const StoredRevision& revision(std::int64_t id) {
    return revisions_.get(id, [this](std::int64_t wanted) { return read_revision(wanted); });
  }
  std::int64_t bytes_of(const std::string& object_hash) {
    if (object_hash.empty()) return 0;
    size_.bind(object_hash);
    return size_.next() ? size_.integer(0) : 0;
  }

  /// Objects of `after` that `before` does not have.
  Ids new_objects(const SharedVersion& before, const SharedVersion& after) {
    Ids ids;
    for (const BankPlace& place : after.banks) {
      if (has(before, place)) continue;
      ids.insert(ids.end(), place.bank->objects.begin(), place.bank->objects.end());
      if (place.router != 0) ids.push_back(place.router);
    }
    if (after.parts != before.parts) ids.insert(ids.end(), after.parts->objects.begin(), after.parts->objects.end());
    sort_ids(ids);
    Ids routers;
    for (const BankPlace& place : before.banks) routers.push_back(place.router);
    sort_ids(routers);
    take_away(ids, routers);
    take_away(ids, before.parts->objects);
    // What the changed banks had leaves few to be looked for in all the others.
    for (const BankPlace& place : before.banks) {
      if (!has(after, place)) take_away(ids, place.bank->objects);
    }
    for (const BankPlace& place : before.banks) take_away(ids, place.bank->objects);
    return ids;
  }

  /// Puts what one version has, and the other one has not, into its manifest.
  void fill(const SharedVersion& from, const SharedVersion& other, Manifest& manifest) {
    manifest.config_json = from.config;
    manifest.tokenizer_object = from.tokenizer;
    if (from.parts != other.parts) manifest.parts = from.parts->parts;
    manifest.layers.resize(from.layers());
    for (const BankPlace& place : from.banks) {
      if (has(other, place)) continue;
      if (static_cast<std::size_t>(place.bank->layer) >= manifest.layers.size()) {
        throw Error("a version lacks a layer", "mformer fsck says what is wrong");
      }
      LayerManifest& layer = manifest.layers[static_cast<std::size_t>(place.bank->layer)];
      if (place.router != 0) layer.router(place.bank->kind) = object(place.router).hash;
      const BankPlace* const opposite = other.at(place.bank->layer, place.bank->kind);
      const bool in_turn = opposite != nullptr && are_in_turn(place, *opposite);
      for (std::size_t i = 0; i < place.bank->members.size(); ++i) {
        const Member& member = place.bank->members[i];
        if (in_turn && member == opposite->bank->members[i]) continue;
        const StoredRevision& stored = revision(member.revision);
        layer.modules(place.bank->kind).push_back({stored.module, stored.object_hash, member.frozen});
      }
    }
  }

  void find_changed_routers(const SharedVersion& before, const SharedVersion& after, VersionPair& pair) {
    for (const BankPlace& place : after.banks) {
      if (has(before, place)) continue;
      const BankPlace* const old = before.at(place.bank->layer, place.bank->kind);
      const bool changed = old != nullptr && old->router != place.router && are_in_turn(place, *old);
      if (changed) pair.changed_routers.emplace(place.bank->layer, place.bank->kind);
    }
  }

  static bool has(const SharedVersion& version, const BankPlace& place) {
    return std::binary_search(version.banks.begin(), version.banks.end(), place, comes_before);
  }

 private:
  /// Whether both have the same modules in the same order, and routers of the same length.
  bool are_in_turn(const BankPlace& one, const BankPlace& other) {
    const bool routers = one.router == other.router || object(one.router).bytes == object(other.router).bytes;
    return routers && std::ranges::equal(one.bank->members, other.bank->members, [this](const auto& a, const auto& b) {
             return a.revision == b.revision || is_same_module(a.revision, b.revision);
           });
  }

  bool is_same_module(std::int64_t one, std::int64_t other) {
    const std::string module = revision(one).module;  // a copy: the next question may move it
    return module == revision(other).module;
  }

  static bool comes_before(const BankPlace& one, const BankPlace& other) { return key(one) < key(other); }
  static std::tuple<int, Kind, const SharedBank*, std::int64_t> key(const BankPlace& place) {
    return {place.bank->layer, place.bank->kind, place.bank.get(), place.router};
  }

  std::shared_ptr<const SharedVersion> read_version(const std::string& hash) {
    head_.bind(hash);
    if (!head_.next()) throw UsageError("there is no version " + hash, "mformer log lists the versions");
    auto version = std::make_shared<SharedVersion>();
    version->config = head_.text(1);
    version->tokenizer = head_.text(2);
    const std::int64_t id = head_.integer(0);
    Ids parts;
    for (parts_.bind(id); parts_.next();) parts.push_back(parts_.integer(0));
    version->parts = shared_parts(parts);
    for (banks_.bind(id); banks_.next();) version->banks.push_back({bank(banks_.integer(0)), banks_.integer(1)});
    std::sort(version->banks.begin(), version->banks.end(), comes_before);
    return version;
  }

  /// Neighbours mostly have the same ones.
  std::shared_ptr<const SharedParts> shared_parts(const Ids& ids) {
    if (last_parts_ != nullptr && ids == last_part_ids_) return last_parts_;
    const auto known = parts_by_ids_.find(ids);
    last_part_ids_ = ids;
    if (known != parts_by_ids_.end()) return last_parts_ = known->second;
    auto made = std::make_shared<SharedParts>();
    for (const std::int64_t id : ids) {
      part_.bind(id);
      if (!part_.next()) continue;
      made->objects.push_back(part_.integer(1));
      made->parts.push_back({part_.text(0), object(part_.integer(1)).hash});
    }
    sort_ids(made->objects);
    if (parts_by_ids_.size() >= kVersions) parts_by_ids_.clear();
    return last_parts_ = parts_by_ids_[ids] = made;
  }

  std::shared_ptr<const SharedBank> bank(std::int64_t id) {
    return banks_by_id_.get(id, [this](std::int64_t wanted) { return read_bank(wanted); });
  }

  std::shared_ptr<const SharedBank> read_bank(std::int64_t id) {
    auto bank = std::make_shared<SharedBank>();
    bank_.bind(id);
    if (!bank_.next()) throw Error("a version's modules are not there", "mformer fsck says what is wrong");
    bank->layer = static_cast<int>(bank_.integer(0));
    bank->kind = kind_from_string(bank_.text(1));
    for (modules_.bind(id); modules_.next();) {
      bank->members.push_back({modules_.integer(0), modules_.integer(1) != 0});
      bank->objects.push_back(object_of(bank->members.back().revision));
    }
    sort_ids(bank->objects);
    return bank;
  }

  StoredRevision read_revision(std::int64_t id) {
    revision_.bind(id);
    if (!revision_.next()) throw Error("weights of a module are not there", "mformer fsck says what is wrong");
    return {revision_.text(0), revision_.text(1)};
  }

  /// A small table, since it is asked for each member of each bank: numbers of revisions go up from 1.
  std::int64_t object_of(std::int64_t revision) {
    constexpr std::int64_t kUnknown = -1, kMost = std::int64_t{1} << 27;
    if (revision < 0 || revision > kMost) throw Error("the number of a revision is none", "mformer fsck says more");
    const auto at = static_cast<std::size_t>(revision);
    if (at >= object_by_revision_.size()) object_by_revision_.resize(2 * at + 1, kUnknown);
    std::int64_t& object = object_by_revision_[at];
    if (object != kUnknown) return object;
    object_of_.bind(revision);
    return object = object_of_.next() ? object_of_.integer(0) : 0;
  }

  Database& db_;
  Recent<std::string, std::shared_ptr<const SharedVersion>> versions_{kVersions};
  Recent<std::int64_t, std::shared_ptr<const SharedBank>> banks_by_id_{kBanks};
  Recent<std::int64_t, StoredRevision> revisions_{kSmallRows};
  Recent<std::int64_t, StoredObject> objects_{kSmallRows};
  Ids object_by_revision_;
  std::map<Ids, std::shared_ptr<const SharedParts>> parts_by_ids_;
  std::shared_ptr<const SharedParts> last_parts_;
  Ids last_part_ids_;
  Query head_{db_, "SELECT id, config_json, tokenizer_object FROM versions WHERE hash = ?"};
  Query parts_{db_, "SELECT part_id FROM version_parts WHERE version_id = ? ORDER BY position"};
  Query part_{db_, "SELECT name, object_id FROM parts WHERE id = ?"};
  Query banks_{db_, "SELECT bank_id, coalesce(router_id, 0) FROM version_banks WHERE version_id = ?"};
  Query bank_{db_, "SELECT layer, kind FROM banks WHERE id = ?"};
  Query modules_{db_, "SELECT revision_id, frozen FROM bank_modules WHERE bank_id = ? ORDER BY position"};
  Query revision_{db_, "SELECT module_uid, object_hash FROM revisions WHERE id = ?"};
  Query object_of_{db_,
                   "SELECT objects.id FROM revisions JOIN objects ON objects.hash = object_hash "
                   "WHERE revisions.id = ?"};
  Query object_{db_, "SELECT hash, size_bytes FROM objects WHERE id = ?"};
  Query size_{db_, "SELECT size_bytes FROM objects WHERE hash = ?"};
};

VersionPairs::VersionPairs(const Registry& registry) : rows_(std::make_unique<Rows>(*registry.db_)) {}

VersionPairs::~VersionPairs() = default;

VersionPair VersionPairs::of(const std::string& before_hash, const std::string& after_hash) {
  static const auto nothing =
      std::make_shared<const SharedVersion>(SharedVersion{"{}", "", std::make_shared<const SharedParts>(), {}});
  const auto after = rows_->version(after_hash);
  const auto before = before_hash.empty() ? nothing : rows_->version(before_hash);
  VersionPair pair;
  rows_->fill(*before, *after, pair.before);
  rows_->fill(*after, *before, pair.after);
  rows_->find_changed_routers(*before, *after, pair);
  for (const BankPlace& place : after->banks) pair.modules += static_cast<std::int64_t>(place.bank->members.size());
  for (const std::int64_t id : rows_->new_objects(*before, *after)) pair.new_bytes += rows_->object(id).bytes;
  const bool new_tokenizer = after->tokenizer != before->tokenizer;
  if (new_tokenizer) pair.new_bytes += rows_->bytes_of(after->tokenizer);
  return pair;
}

}  // namespace mformer
