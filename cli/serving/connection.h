#pragma once

#include <httplib.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <string>

namespace mformer::cli {

struct WebLimits {
  std::size_t connections = 256;     ///< At once; others are told to come later.
  std::size_t header_bytes = 16384;  ///< Of a request's head.
  std::size_t body_bytes = std::size_t{4} << 20U;
  std::chrono::seconds idle{15};    ///< Between two requests of a connection.
  std::chrono::seconds header{10};  ///< From the first byte of a head to its last,
  std::chrono::seconds body{30};    ///< from there to the last of the body,
  std::chrono::seconds write{30};   ///< and for each piece that is written.
};

/// What is wrong with a request before anybody looks at its words.
struct HeadProblem {
  int status = 0;  ///< 0: nothing.
  std::string message;
};

/// One client's connection, as httplib reads and writes it. Times are those of whole heads and bodies, since a client
/// may send one byte now and then for ever. Of a head only what the server knows goes on: the headers that httplib
/// itself would act on (ranges, compression, trailers) are left out.
class Connection : public httplib::Stream {
 public:
  /// Does not own the socket; all outlive it. `stopping`: no further request is waited for, `closed`: nor anything
  /// else.
  Connection(int socket, const WebLimits& limits, const std::atomic<bool>& stopping, const std::atomic<bool>& closed);

  /// Waits for a request and reads its head. False where none comes; a problem is to be answered, and the end.
  bool read_head(HeadProblem& problem);

  /// Whether all of the body has been read, so that the next byte begins a request.
  bool at_end_of_body() const { return !chunked_ && body_left_ == 0; }

  /// Why the body is not whole: 408 too slow, 413 too long; 0 otherwise.
  int body_problem() const { return body_problem_; }

  /// Nothing that comes behind this request is read.
  void end_after_answer() { ends_ = true; }
  bool ends() const { return ends_ || !at_end_of_body(); }

  /// Whether the client has closed its end.
  bool gone() const;

  /// A whole answer in JSON to a request that is not served, and the connection's end.
  void refuse(int status, const std::string& body);

  /// Waits shortly for the client to read what was answered while it still sends.
  void linger();

  bool is_readable() const override;
  bool is_writable() const override;
  ssize_t read(char* to, std::size_t size) override;
  ssize_t write(const char* from, std::size_t size) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  int socket() const override { return socket_; }

  /// The connection that this thread serves.
  static Connection*& current();

 private:
  using Clock = std::chrono::steady_clock;
  bool wait(short events, Clock::time_point limit) const;
  ssize_t receive(char* to, std::size_t size, Clock::time_point limit) const;
  bool fill(std::size_t& end, HeadProblem& problem);
  HeadProblem look_at_head(const std::string& head);

  int socket_;
  const WebLimits& limits_;
  const std::atomic<bool>&stopping_, &closed_;
  std::string head_;       ///< As httplib gets it,
  std::size_t given_ = 0;  ///< and how much of it it got.
  std::string surplus_;    ///< What came behind a head.
  std::size_t body_left_ = 0, body_read_ = 0;
  bool chunked_ = false;
  int body_problem_ = 0;
  bool ends_ = false;
  Clock::time_point body_limit_;
};

}  // namespace mformer::cli
