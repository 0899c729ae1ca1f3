#include "cli/serving/web_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cctype>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <system_error>
#include <thread>
#include <utility>

#include "modules_registry/error.h"

namespace mformer::cli {
namespace {

/// Set while a connection is beyond what is served at once: its only answer is that.
thread_local bool beyond_limit = false;

/// A thread for each connection. One that is too many is dealt with at once, in the thread that accepts.
class ThreadForEach : public httplib::TaskQueue {
 public:
  ThreadForEach(std::size_t most, std::atomic<std::int64_t>& count)
      : most_(static_cast<std::int64_t>(most)), count_(count) {}

  void enqueue(std::function<void()> serve) override {
    if (count_ >= most_) return turn_away(serve);
    ++count_;
    try {
      std::thread([this, serve] {
        serve();
        const std::lock_guard lock(mutex_);
        --count_;
        done_.notify_all();
      }).detach();
    } catch (const std::system_error&) {
      --count_;
      turn_away(serve);
    }
  }

  void shutdown() override {
    std::unique_lock lock(mutex_);
    done_.wait(lock, [&] { return count_ == 0; });
  }

 private:
  static void turn_away(const std::function<void()>& serve) {
    beyond_limit = true;
    serve();
    beyond_limit = false;
  }

  std::int64_t most_;
  std::atomic<std::int64_t>& count_;
  std::mutex mutex_;
  std::condition_variable done_;
};

void fill_in(httplib::Response& response, const ApiError& error) {
  response.status = error.status();
  const Connection* connection = Connection::current();  // a body that nobody read would be taken for a request
  if (connection != nullptr && connection->ends()) response.set_header("Connection", "close");
  if (error.status() == 429 || error.status() == 503) response.set_header("Retry-After", "1");
  if (error.status() == 401) response.set_header("WWW-Authenticate", "Bearer");
  response.set_content(error.json(), "application/json");
}

std::string sentence(const Error& error) {
  return error.hint().empty() ? error.what() : std::string(error.what()) + "; " + error.hint();
}

/// Runs a handler; what it throws becomes the answer.
httplib::Server::Handler guarded(const httplib::Server::Handler& handler) {
  return [handler](const httplib::Request& request, httplib::Response& response) {
    try {
      handler(request, response);
    } catch (const ApiError& error) {
      fill_in(response, error);
    } catch (const Error& error) {
      fill_in(response, ApiError(400, sentence(error)));
    } catch (const std::bad_alloc&) {
      fill_in(response, ApiError(503, "there is not enough memory for this request"));
    } catch (const std::exception& error) {
      fill_in(response, ApiError(500, error.what()));
    }
  };
}

bool same_secret(const std::string& given, const std::string& token) {
  return given.size() == token.size() && CRYPTO_memcmp(given.data(), token.data(), token.size()) == 0;
}

/// Counts while it lives.
class Busy {
 public:
  explicit Busy(std::atomic<std::int64_t>& count) : count_(count) { ++count_; }
  ~Busy() { --count_; }
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;

 private:
  std::atomic<std::int64_t>& count_;
};

std::string without_port(std::string host) {
  for (char& c : host) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  const std::size_t colon = host.rfind(':');
  return colon == std::string::npos || host.ends_with(']') ? host : host.substr(0, colon);
}

}  // namespace

bool is_this_machine(const std::string& host) {
  if (host == "localhost" || host == "::1" || host == "[::1]") return true;
  in_addr address{};
  return inet_pton(AF_INET, host.c_str(), &address) == 1 && (ntohl(address.s_addr) >> 24U) == 127;
}

WebServer::WebServer(const WebOptions& options) : options_(options) {
  new_task_queue = [this] { return new ThreadForEach(options_.limits.connections, connections_); };
  set_payload_max_length(options_.limits.body_bytes);
  set_tcp_nodelay(true);
  set_socket_options([](int socket) {  // httplib's own let two servers share a port
    const int yes = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  });
  set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
    try {
      check_asker(request);
    } catch (const ApiError& error) {
      fill_in(response, error);
      return HandlerResponse::Handled;
    }
    return HandlerResponse::Unhandled;
  });
  set_error_handler([](const httplib::Request& request, httplib::Response& response) {
    if (!response.body.empty()) return;
    Connection* connection = Connection::current();
    if (connection != nullptr && connection->body_problem() != 0) response.status = connection->body_problem();
    if (connection != nullptr && response.status != 404) connection->end_after_answer();
    const std::string what = response.status == 404   ? "there is nothing at " + request.method + " " + request.path
                             : response.status == 408 ? "the request's body did not come in time"
                             : response.status == 413 ? "the request's body is too long"
                                                      : "the request could not be read";
    fill_in(response, ApiError(response.status, what, response.status == 404 ? "not_found" : ""));
  });
  set_logger([this](const httplib::Request&, const httplib::Response& response) { count(response.status); });
}

void WebServer::on_get(const std::string& path, Handler handler) {
  Get(path, guarded(handler));
}

void WebServer::on_post(const std::string& path, Handler handler) {
  Post(path, guarded([handler](const httplib::Request& request, httplib::Response& response) {
         // A page of another site can send text, but not this, without asking the server first.
         const std::string type = request.get_header_value("Content-Type");
         if (type.substr(0, type.find(';')) != "application/json") {
           throw ApiError(415, "the body must be JSON: send Content-Type: application/json");
         }
         handler(request, response);
       }));
}

/// Who may ask: everybody on this machine, or who has the token. /health tells nothing that is anybody's.
void WebServer::check_asker(const httplib::Request& request) const {
  if (request.path == "/health") return;
  if (!options_.token.empty()) {
    if (same_secret(request.get_header_value("Authorization"), "Bearer " + options_.token)) return;
    throw ApiError(401, "the token is missing or wrong: send Authorization: Bearer TOKEN", "invalid_api_key");
  }
  // Without a token only this machine is served: not a page of another site in a browser here, nor one that calls this
  // machine by a name of its own.
  const std::string host = request.get_header_value("Host");
  if (!host.empty() && !is_this_machine(without_port(host))) {
    throw ApiError(403, "this server answers as localhost or 127.0.0.1; with --token-file it answers under any name");
  }
  if (request.has_header("Origin") && request.get_header_value("Origin") != "http://" + host) {
    throw ApiError(403, "pages of other sites may not ask this server");
  }
}

int WebServer::open() {
  const std::string where = options_.host + ":" + std::to_string(options_.port);
  const int port = static_cast<int>(options_.port);
  const bool bound = port == 0 || bind_to_port(options_.host, port);
  const int got = !bound ? -1 : port == 0 ? bind_to_any_port(options_.host) : port;
  if (got < 0) {
    throw Error("can't listen on " + where,
                "is the port taken, or the address not one of this machine? --port 0 takes a free port");
  }
  ::listen(svr_sock_, 512);  // httplib lets only a few wait to be accepted
  return got;
}

void WebServer::serve() {
  listen_after_bind();
  served_ = true;
}

void WebServer::close() {
  closed_ = true;
  // httplib forgets a stop() that comes before its thread listens.
  while (!is_running() && !served_) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  stop();
}

std::map<int, std::int64_t> WebServer::answers() const {
  const std::lock_guard lock(mutex_);
  return answers_;
}

void WebServer::count(int status) {
  const std::lock_guard lock(mutex_);
  ++answers_[status];
}

bool WebServer::process_and_close_socket(socket_t socket) {
  Connection connection(socket, options_.limits, stopping_, closed_);
  if (beyond_limit) {
    connection.refuse(503, ApiError(503, "too many connections; try again").json());
    count(503);
  } else {
    Connection::current() = &connection;
    try {
      converse(connection);
    } catch (const std::exception&) {  // no memory, say: the connection is all that ends
      count(500);
    }
    Connection::current() = nullptr;
  }
  shutdown(socket, SHUT_RDWR);
  ::close(socket);
  return true;
}

/// Requests and answers, until one of the two ends it.
void WebServer::converse(Connection& connection) {
  while (true) {
    HeadProblem problem;
    if (!connection.read_head(problem)) return;
    if (problem.status == 0 && stopping_) problem = {503, "the server is stopping"};
    if (problem.status != 0) {
      connection.refuse(problem.status, ApiError(problem.status, problem.message).json());
      count(problem.status);
      return connection.linger();
    }
    const Busy busy(busy_);
    bool closed = false;
    const bool served = process_request(connection, false, closed, nullptr);
    if (served && !closed && !connection.ends()) continue;
    return connection.linger();
  }
}

}  // namespace mformer::cli
