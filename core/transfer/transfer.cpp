#include "core/transfer/transfer.h"

#include <cmath>

#include "modules_registry/error.h"

namespace mformer {
namespace {

constexpr std::pair<Arrival, const char*> kArrivals[] = {{Arrival::made, "made"},     {Arrival::forward, "forward"},
                                                         {Arrival::same, "same"},     {Arrival::behind, "behind"},
                                                         {Arrival::beside, "beside"}, {Arrival::refused, "refused"}};

std::vector<std::string> chosen(Source& source, const std::vector<std::string>& named) {
  std::vector<std::string> all = source.models();
  if (named.empty()) return all;
  std::set<std::string> seen;
  std::vector<std::string> each;
  for (const std::string& name : named) {
    if (seen.insert(name).second) each.push_back(name);
  }
  return each;
}

void require_none_refused(Source& source, Target& target, const std::vector<std::string>& models, bool beside) {
  for (const std::string& model : models) {
    if (target.decide(source.offer(model), beside).arrival != Arrival::refused) continue;
    throw Error("'" + model + "' went another way there, or its name is taken: nothing was sent",
                "mformer pull DEST brings what is there here, beside yours, as '" + model +
                    "-2'; mformer merge joins the two; mformer model rename gives yours another name");
  }
}

/// Counts what goes by.
class Meter {
 public:
  Meter(const Watcher& watcher, std::int64_t objects, Transferred& done)
      : watcher_(watcher), objects_(objects), done_(done) {}

  TakeObject around(const TakeObject& take) {
    return [this, take](const std::string& hash, std::int64_t size, const ObjectStore::Reader& read) {
      take(hash, size, [&](std::span<std::byte> bytes) {
        if (watcher_.should_stop && watcher_.should_stop()) {
          throw StoppedError("the transfer was stopped", "run the same again: what has come is not sent again");
        }
        const std::size_t count = read(bytes);
        done_.bytes += static_cast<std::int64_t>(count);
        return count;
      });
      ++done_.objects;
      if (watcher_.progress) {
        watcher_.progress("objects of " + done_.model, done_.objects, objects_, std::nan(""), std::nan(""));
      }
    };
  }

 private:
  const Watcher& watcher_;
  std::int64_t objects_;
  Transferred& done_;
};

}  // namespace

std::string_view to_string(Arrival arrival) {
  for (const auto& [value, name] : kArrivals) {
    if (value == arrival) return name;
  }
  return "";
}

Arrival arrival_from_string(std::string_view text) {
  for (const auto& [value, name] : kArrivals) {
    if (name == text) return value;
  }
  throw Error("the other end answered with something that is no decision",
              "is mformer at the other end of the same version?");
}

/// Each tag once, though several models have its version.
void bring_tags(Target& target, const Offer& offer, const TransferOptions& options, std::set<std::string>& told,
                Transferred& done) {
  for (TagArrival tag : done.decision.tags) {
    const auto offered = offer.tags.find(tag.name);
    if (offered == offer.tags.end() || offered->second != tag.version || !told.insert(tag.name).second) continue;
    if (tag.there.empty() && !options.dry_run) tag.there = target.tag(tag.name, tag.version);
    done.tags.push_back(std::move(tag));
  }
}

/// Those that are missing of versions which are there. A dry run counts each once, though several models have its
/// version.
void bring_measurements(Source& source, Target& target, const Offer& offer, const TransferOptions& options,
                        std::set<std::string>& told, Transferred& done) {
  const std::vector<Measurements>& missing = done.decision.measured;
  if (missing.empty()) return;
  if (!options.dry_run) {
    done.measurements += target.receive_measurements(source.parcel(offer, {}, missing));
    return;
  }
  for (const Measurements& some : missing) {
    for (const std::string& mark : some.marks) {
      done.measurements += told.insert(some.version + some.task + mark).second ? 1 : 0;
    }
  }
}

std::vector<Transferred> transfer(Source& source, Target& target, const TransferOptions& options,
                                  const Watcher& watcher) {
  const std::vector<std::string> models = chosen(source, options.models);
  require_none_refused(source, target, models, options.may_keep_beside);
  std::vector<Transferred> all;
  std::set<std::string> tags, measured;
  for (const std::string& model : models) {
    const Offer offer = source.offer(model);
    Transferred& done = all.emplace_back();
    done.model = model;
    done.decision = target.decide(offer, options.may_keep_beside);  // anew: the ones before may have brought much of it
    done.current = offer.current;
    if (done.decision.arrival == Arrival::same || done.decision.arrival == Arrival::behind) {
      bring_measurements(source, target, offer, options, measured, done);
      bring_tags(target, offer, options, tags, done);
      continue;
    }
    const Parcel parcel = source.parcel(offer, done.decision.want, done.decision.measured);
    if (options.dry_run) {
      bring_measurements(source, target, offer, options, measured, done);
      for (const std::string& hash : target.missing(parcel)) {
        ++done.objects;
        if (const auto size = parcel.sizes.find(hash); size != parcel.sizes.end()) done.bytes += size->second;
      }
      bring_tags(target, offer, options, tags, done);
      continue;
    }
    const Adopted there =
        target.receive(done.decision, parcel, [&](const std::vector<std::string>& missing, const TakeObject& take) {
          Meter meter(watcher, static_cast<std::int64_t>(missing.size()), done);
          source.objects(missing, meter.around(take));
        });
    done.version = to_string(there.current);
    done.measurements = there.measurements;
    bring_tags(target, offer, options, tags, done);
  }
  return all;
}

}  // namespace mformer
