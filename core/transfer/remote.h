#pragma once

#include <filesystem>
#include <functional>

#include "core/transfer/wire.h"

namespace mformer {

// The two ends of a wire between two machines: `mformer transfer-peer` there answers what these ask here.

class RemoteSource : public Source {
 public:
  explicit RemoteSource(Wire& wire) : wire_(wire) {}
  std::vector<std::string> models() override;
  Offer offer(const std::string& model) override;
  Parcel parcel(const Offer& offer, const std::vector<std::string>& want,
                const std::vector<Measurements>& measured) override;
  void objects(const std::vector<std::string>& hashes, const TakeObject& take) override;

 private:
  Wire& wire_;
};

class RemoteTarget : public Target {
 public:
  explicit RemoteTarget(Wire& wire) : wire_(wire) {}
  Decision decide(const Offer& offer, bool may_keep_beside) override;
  std::vector<std::string> missing(const Parcel& parcel) override;
  Adopted receive(const Decision& decision, const Parcel& parcel, const Deliver& deliver) override;
  std::int64_t receive_measurements(const Parcel& parcel) override;
  std::string tag(const std::string& name, const std::string& version) override;

 private:
  Wire& wire_;
};

/// What serve() answers with: the workspace to read, or to write, opened when first asked for.
struct Served {
  std::function<const Registry*()> to_read;  ///< null: there is none yet
  std::function<RegistrySession&()> to_write;
  std::function<void()> received;  ///< a model is there, whole; what to_write() gave is not used any more. May be empty
};

/// The same as a target: what it opens, it opens when that is needed.
class ServedTarget : public Target {
 public:
  explicit ServedTarget(const Served& served) : served_(served) {}
  Decision decide(const Offer& offer, bool may_keep_beside) override;
  std::vector<std::string> missing(const Parcel& parcel) override;
  Adopted receive(const Decision& decision, const Parcel& parcel, const Deliver& deliver) override;
  std::int64_t receive_measurements(const Parcel& parcel) override;
  std::string tag(const std::string& name, const std::string& version) override;

 private:
  const Served& served_;
};

/// Answers until the other end ends. What goes wrong with a request is told there, and ends nothing.
void serve(Wire& wire, const Served& served);

}  // namespace mformer
