#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/workspace/registry_session.h"
#include "modules_registry/parcel.h"

namespace mformer {

// How models go from one workspace to another, wherever the two lie: a Source offers, a Target decides what it lacks,
// and gets that. docs/transfer.md has the format of bundles and what goes over a wire.

/// What was measured of a version on one task's data. A mark stands for a score or a look at the routing: 24 digits for
/// what was measured on what, and 8 for a score's value.
struct Measurements {
  std::string version;  ///< hash
  std::string task;     ///< content hash of its data
  std::vector<std::string> marks;
};

/// What there is of a model.
struct Offer {
  std::string model;
  std::string current;  ///< hash of the version that it points to
  std::vector<std::string>
      versions;  ///< hashes of that one, of all that it comes from and was merged from; parents first
  std::map<std::string, std::string> tags;  ///< of these versions: names and hashes
  std::vector<Measurements> measured{};     ///< of these versions
};

/// What a model's coming does.
enum class Arrival {
  made,     ///< there is none of the name: it is made
  forward,  ///< the one of the name is one of its ancestors: moved on
  same,     ///< it stands there already
  behind,   ///< the one of the name has all of it and more: left alone
  beside,   ///< the one of the name went another way: kept beside it, under a name with a number
  refused   ///< the same, where nothing may be kept beside
};
std::string_view to_string(Arrival arrival);
/// Throws Error for any other text.
Arrival arrival_from_string(std::string_view text);

/// A tag of the offer that is not there as it is here.
struct TagArrival {
  std::string name;
  std::string version;  ///< hash of the version that it names here
  std::string there;    ///< what has the name there, and keeps it: "base@1"; "" where nothing has: the tag is made
};

struct Decision {
  Arrival arrival = Arrival::refused;
  std::string into;               ///< the model that it becomes
  std::string seen;               ///< what that points to now; "" where it is made
  std::vector<std::string> want;  ///< of the offered versions those that are not there; parents first
  std::vector<TagArrival> tags;   ///< by name
  /// On tasks that are there, by the content of their data: measurements that are missing.
  std::vector<Measurements> measured{};
  std::int64_t different = 0;  ///< scores that have another value there, which stays
};

/// Takes one object: its hash, its size, and its bytes piece by piece.
using TakeObject = std::function<void(const std::string& hash, std::int64_t size, const ObjectStore::Reader& read)>;

class Source {
 public:
  virtual ~Source() = default;
  virtual std::vector<std::string> models() = 0;
  /// Throws UsageError for an unknown model.
  virtual Offer offer(const std::string& model) = 0;
  /// The rows of these versions of an offer, and these measurements of others.
  virtual Parcel parcel(const Offer& offer, const std::vector<std::string>& want,
                        const std::vector<Measurements>& measured) = 0;
  /// Gives these objects, each once, in any order.
  virtual void objects(const std::vector<std::string>& hashes, const TakeObject& take) = 0;
};

/// Asks for what is missing: hashes, and who takes the objects.
using Deliver = std::function<void(const std::vector<std::string>& missing, const TakeObject& take)>;

class Target {
 public:
  virtual ~Target() = default;
  /// `may_keep_beside`: a model that went another way is kept beside its namesake, else refused.
  virtual Decision decide(const Offer& offer, bool may_keep_beside) = 0;
  /// Hashes of the parcel's objects that are not there; changes nothing.
  virtual std::vector<std::string> missing(const Parcel& parcel) = 0;
  /// Calls `deliver`, then takes the parcel over: as decided, or, if that no longer holds, throws Error. What was
  /// delivered stays for the next try if anything fails.
  virtual Adopted receive(const Decision& decision, const Parcel& parcel, const Deliver& deliver) = 0;
  /// Takes over measurements of versions that are there, as an operation of its own, and returns how many were missing.
  virtual std::int64_t receive_measurements(const Parcel& parcel) = 0;
  /// Makes a tag of a version that is there, as an operation of its own. Where another command was faster with the name
  /// nothing changes, and what has it is returned, as TagArrival::there; else "".
  virtual std::string tag(const std::string& name, const std::string& version) = 0;
};

/// All versions that a version comes from and was merged from, itself last; parents first.
std::vector<std::string> ancestry(const Registry& registry, const std::string& version);
std::set<std::string> objects_of(const Parcel& parcel);
std::set<std::string> objects_of(const Manifest& manifest);

/// A workspace on this machine to take from.
class LocalSource : public Source {
 public:
  explicit LocalSource(const Registry& registry) : registry_(registry) {}
  std::vector<std::string> models() override;
  Offer offer(const std::string& model) override;
  Parcel parcel(const Offer& offer, const std::vector<std::string>& want,
                const std::vector<Measurements>& measured) override;
  void objects(const std::vector<std::string>& hashes, const TakeObject& take) override;

 private:
  const Registry& registry_;
};

/// A workspace on this machine to bring to; each model is an operation of the session there. Without a session it can
/// only tell what it would do; without a registry as one that has nothing.
class LocalTarget : public Target {
 public:
  explicit LocalTarget(RegistrySession& session) : registry_(&session.registry), session_(&session) {}
  explicit LocalTarget(const Registry* registry) : registry_(registry) {}
  Decision decide(const Offer& offer, bool may_keep_beside) override;
  std::vector<std::string> missing(const Parcel& parcel) override;
  Adopted receive(const Decision& decision, const Parcel& parcel, const Deliver& deliver) override;
  std::int64_t receive_measurements(const Parcel& parcel) override;
  std::string tag(const std::string& name, const std::string& version) override;

 private:
  void decide_model(const Offer& offer, bool may_keep_beside, Decision& decision) const;
  std::string who_has(const std::string& name, const Decision& decision) const;

  const Registry* registry_;
  RegistrySession* session_ = nullptr;
};

/// What became of one model.
struct Transferred {
  std::string model;  ///< where it comes from
  Decision decision;
  std::string version;                  ///< where it stands there, as name@N; "" in a dry run
  std::string current;                  ///< and its hash
  std::int64_t objects = 0, bytes = 0;  ///< that were sent
  std::int64_t measurements = 0;        ///< that were missing there
  std::vector<TagArrival> tags;         ///< that were made, or were left as they are there
};

struct TransferOptions {
  std::vector<std::string> models;  ///< empty: all
  bool may_keep_beside = false;
  bool dry_run = false;
};

/// Brings models over. Throws Error before anything is sent if one of them is refused.
std::vector<Transferred> transfer(Source& source, Target& target, const TransferOptions& options,
                                  const Watcher& watcher);

}  // namespace mformer
