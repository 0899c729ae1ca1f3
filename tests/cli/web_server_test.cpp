#include "cli/serving/web_server.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace mformer::cli {
namespace {

TEST(WebServer, ComesToItsEndAlsoWhereItIsClosedBeforeItsThreadListens) {
  WebOptions options;
  options.port = 0;
  WebServer server(options);
  ASSERT_GT(server.open(), 0);
  std::thread web([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    server.serve();
  });
  server.close();
  web.join();  // never, where the end is forgotten
}

}  // namespace
}  // namespace mformer::cli
