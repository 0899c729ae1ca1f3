#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>

#include "core/transfer/measurements.h"
#include "core/transfer/transfer.h"

namespace mformer {
namespace {

class OpenFile {
 public:
  explicit OpenFile(const std::filesystem::path& path)
      : path_(path), descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (descriptor_ < 0) throw_file_error("read", path, errno);
  }
  ~OpenFile() { ::close(descriptor_); }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  std::size_t read(std::span<std::byte> bytes) {
    while (true) {
      const ssize_t count = ::read(descriptor_, bytes.data(), bytes.size());
      if (count >= 0) return static_cast<std::size_t>(count);
      if (errno != EINTR) throw_file_error("read", path_, errno);
    }
  }

 private:
  std::filesystem::path path_;
  int descriptor_;
};

}  // namespace

std::vector<std::string> LocalSource::models() {
  std::vector<std::string> names;
  for (const ModelRecord& model : registry_.models()) names.push_back(model.name);
  return names;
}

Offer LocalSource::offer(const std::string& model) {
  const std::string current = registry_.model(model).current_version;
  Offer offer{model, current, ancestry(registry_, current), {}};
  offer.measured = measurements_of(registry_, offer.versions);
  for (const TagRecord& tag : registry_.tags()) {
    if (std::find(offer.versions.begin(), offer.versions.end(), tag.version) != offer.versions.end())
      offer.tags.emplace(tag.name, tag.version);
  }
  return offer;
}

Parcel LocalSource::parcel(const Offer& offer, const std::vector<std::string>& want,
                           const std::vector<Measurements>& measured) {
  Parcel parcel{offer.model, offer.current, {}, {}, {}, {}, {}, {}};
  std::map<std::int64_t, std::string> uids;  // of operations that go along
  const std::string identity = registry_.identity();
  const auto uid_of = [&](std::int64_t id) {
    if (const auto known = uids.find(id); known != uids.end()) return known->second;
    OperationRecord operation = registry_.operation(id);
    if (operation.origin.empty()) operation.origin = identity;
    parcel.operations.push_back(operation);
    return uids[id] = operation.uid;
  };
  // One that still runs could not be told the end of.
  const auto measured_by = [&](std::int64_t id) {
    return id == 0 || registry_.operation(id).outcome == Outcome::running ? "" : uid_of(id);
  };
  std::map<std::string, std::string> contents;
  for (const TaskRecord& task : registry_.tasks()) contents.emplace(task.name, task.content_hash);
  std::set<std::string> modules;
  for (const std::string& hash : want) {
    const VersionRecord version = registry_.version(hash);
    parcel.versions.push_back({version, uid_of(version.operation_id), registry_.manifest(hash)});
    for (const ModuleRecord& module : registry_.modules(hash)) {
      if (modules.insert(module.uid).second) parcel.modules.push_back({module, uid_of(module.born_operation)});
    }
  }
  const std::set<std::string> whole(want.begin(), want.end());
  std::set<std::string> versions = whole;
  for (const Measurements& some : measured) versions.insert(some.version);
  const MeasurementMarks wanted(measured);
  for (const std::string& hash : versions) {
    const auto goes = [&](const std::string& content, const auto& measurement) {
      return whole.contains(hash) || wanted.has(hash, content, mark_of(measurement));
    };
    for (Score score : registry_.scores(hash)) {
      const auto content = contents.find(score.task);
      if (content == contents.end() || !goes(content->second, score)) continue;
      score.task = content->second;
      parcel.scores.push_back({score, measured_by(score.operation_id)});
    }
    for (const auto& [task, content] : contents) {
      for (const Measured& on : registry_.routings(hash, task)) {
        if (!goes(content, on)) continue;
        parcel.stats.push_back(
            {hash, content, registry_.routing_stats(hash, task, on), on, measured_by(on.operation_id)});
      }
    }
  }
  for (const std::string& hash : objects_of(parcel)) parcel.sizes[hash] = registry_.objects().size(hash);
  return parcel;
}

void LocalSource::objects(const std::vector<std::string>& hashes, const TakeObject& take) {
  for (const std::string& hash : hashes) {
    const std::int64_t size = registry_.objects().size(hash);
    OpenFile file(registry_.objects().path(hash));
    take(hash, size, [&](std::span<std::byte> bytes) { return file.read(bytes); });
  }
}

}  // namespace mformer
