// The only file that knows MPI: point-to-point transfers, polled. Sums and their order are ProcessGroup's own, since
// those of MPI's collective operations depend on the algorithm that it chooses.

#include <mpi.h>

#include <algorithm>
#include <string>

#include "core/parallel/plug_in.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

/// Bytes of one message: MPI counts in int, and a message that has come is the only progress that can be seen.
constexpr std::int64_t kPiece = std::int64_t{1} << 20;

void check(int result, const char* what) {
  if (result == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  MPI_Error_string(result, text, &length);
  throw Error(std::string("MPI could not ") + what + ": " + std::string(text, length),
              "another process may have ended: look at what it said");
}

/// One that is given up leaves its requests behind: the process is about to end, and MPI is not called again.
class MpiExchange : public Exchange {
 public:
  MpiExchange(int lane, const std::vector<Transfer>& sends, const std::vector<Transfer>& receives) {
    for (const Transfer& one : receives) {
      for_each_piece(one, [&](std::byte* data, int bytes) {
        check(MPI_Irecv(data, bytes, MPI_BYTE, one.peer, lane, MPI_COMM_WORLD, add(one.peer)), "receive");
      });
    }
    for (const Transfer& one : sends) {
      for_each_piece(one, [&](std::byte* data, int bytes) {
        check(MPI_Isend(data, bytes, MPI_BYTE, one.peer, lane, MPI_COMM_WORLD, add(one.peer)), "send");
      });
    }
    finished_.resize(requests_.size());
  }
  MpiExchange(const MpiExchange&) = delete;
  MpiExchange& operator=(const MpiExchange&) = delete;
  std::int64_t advance() override {
    int count = 0;
    const int all = static_cast<int>(requests_.size());
    check(MPI_Testsome(all, requests_.data(), &count, finished_.data(), MPI_STATUSES_IGNORE), "exchange bytes");
    if (count == MPI_UNDEFINED) return 0;
    left_ -= count;
    return count;
  }

  std::vector<int> waits_for() const override {
    std::vector<int> peers;
    for (std::size_t i = 0; left_ > 0 && i < requests_.size(); ++i) {
      if (requests_[i] != MPI_REQUEST_NULL) peers.push_back(peers_[i]);
    }
    std::sort(peers.begin(), peers.end());
    peers.erase(std::unique(peers.begin(), peers.end()), peers.end());
    return peers;
  }

 private:
  MPI_Request* add(int peer) {
    peers_.push_back(peer);
    ++left_;
    requests_.push_back(MPI_REQUEST_NULL);
    return &requests_.back();
  }

  template <typename Begin>
  static void for_each_piece(const Transfer& one, const Begin& begin) {
    for (std::int64_t at = 0; at < one.bytes; at += kPiece) {
      begin(one.data + at, static_cast<int>(std::min(kPiece, one.bytes - at)));
    }
  }

  std::vector<MPI_Request> requests_;
  std::vector<int> peers_, finished_;
  std::int64_t left_ = 0;
};

class MpiTransport : public Transport {
 public:
  MpiTransport() {
    int given = 0;
    check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &given), "start");
    if (given < MPI_THREAD_SERIALIZED) {
      throw Error("this MPI can't be used by programs with threads", "use another build of it");
    }
    check(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "start");
    check(MPI_Comm_rank(MPI_COMM_WORLD, &rank_), "start");
    check(MPI_Comm_size(MPI_COMM_WORLD, &size_), "start");
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  std::unique_ptr<Exchange> begin(int lane, const std::vector<Transfer>& sends,
                                  const std::vector<Transfer>& receives) override {
    return std::make_unique<MpiExchange>(lane, sends, receives);
  }

  void leave() override { check(MPI_Finalize(), "end"); }

 private:
  int rank_ = 0, size_ = 1;
};

}  // namespace
}  // namespace mformer

extern "C" [[gnu::visibility("default")]] mformer::Transport* mformer_open_transport() {
  return new mformer::MpiTransport();
}

/// Open MPI 4 ends the process, from inside of any call, where a connection to another one breaks; the state of a
/// training would be lost with it. It calls this function of its own for that, which is not to return. The plug-in is
/// loaded before it, so this one is found first, and what it throws comes out of the call: no other is made after that.
/// (Its C code can be unwound, as all code of this platform.) Other MPIs have no such function.
extern "C" [[noreturn, gnu::visibility("default")]] void ompi_rte_abort(int /*code*/, char* /*format*/, ...) {
  throw mformer::Error(
      "the connection to another process broke: it has ended",
      "look at what it said; the same command, with any number of processes, goes on from what is saved");
}
