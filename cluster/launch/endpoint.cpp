#include "cluster/launch/endpoint.h"

#include <cstdio>
#include <fstream>

namespace jvmc::cluster {

Status publishEndpoint(const RuntimeDir& dir, const Endpoint& endpoint) {
  // Renamed into place: a reader never sees half a note.
  std::string aside = dir.file("endpoint.new");
  {
    std::ofstream file(aside);
    file << endpoint.address << '\n' << endpoint.keyFile << '\n';
    if (!file.flush()) return Error{ErrorCode::kIo, "cannot write " + aside};
  }
  if (std::rename(aside.c_str(), dir.file("endpoint").c_str()) != 0)
    return Error{ErrorCode::kIo, "cannot write " + dir.file("endpoint")};
  return Unit{};
}

std::vector<Endpoint> findEndpoints() {
  std::vector<Endpoint> found;
  for (auto& dir : findRuntimeDirs()) {
    std::ifstream file(dir + "/endpoint");
    Endpoint endpoint;
    if (std::getline(file, endpoint.address) && std::getline(file, endpoint.keyFile))
      found.push_back(std::move(endpoint));
  }
  return found;
}

}  // namespace jvmc::cluster
