#pragma once

#include <httplib.h>

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <string>

#include "cli/serving/api_error.h"
#include "cli/serving/connection.h"

namespace mformer::cli {

/// What a server is told.
struct WebOptions {
  std::string host = "127.0.0.1";
  std::int64_t port = 8080;  ///< 0 = one that is free.
  std::string token;         ///< Of those who may ask; empty = everybody.
  WebLimits limits;
};

/// Whether it names this machine alone: localhost, 127.0.0.1 and its like, ::1.
bool is_this_machine(const std::string& host);

/// An HTTP server whose clients can't hurt each other: a thread for each connection up to a limit, whole heads and
/// bodies within a time and a size, a token where one is asked for.
class WebServer : public httplib::Server {
 public:
  explicit WebServer(const WebOptions& options);

  /// Handlers throw ApiError, Error or UsageError (400).
  void on_get(const std::string& path, Handler handler);
  void on_post(const std::string& path, Handler handler);

  /// Binds; returns the port. Throws Error where that can't be.
  int open();
  /// Serves until close(), in the thread that calls it.
  void serve();
  /// From now on nobody new is served; who is being served may end.
  void stop_taking() { stopping_ = true; }
  bool stopping() const { return stopping_; }
  /// Whether requests are being answered.
  std::int64_t busy() const { return busy_; }
  std::int64_t connections() const { return connections_; }
  /// How many answers of each status there were.
  std::map<int, std::int64_t> answers() const;
  /// Ends what is still being read or written.
  void close();

 private:
  bool process_and_close_socket(socket_t socket) override;
  void converse(Connection& connection);
  void check_asker(const httplib::Request& request) const;
  void count(int status);

  WebOptions options_;
  std::atomic<bool> stopping_{false}, closed_{false};
  std::atomic<bool> served_{false};  ///< serve() came to its end
  std::atomic<std::int64_t> busy_{0}, connections_{0};
  mutable std::mutex mutex_;
  std::map<int, std::int64_t> answers_;
};

}  // namespace mformer::cli
