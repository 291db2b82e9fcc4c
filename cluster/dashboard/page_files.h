// The files of the page, embedded into the program: cluster/dashboard/web, see cmake/EmbedFiles.cmake.
#pragma once

#include <span>
#include <string_view>

namespace jvmc::cluster {

struct PageFile {
  std::string_view name;  ///< "/page.js"
  std::string_view content;
};

std::span<const PageFile> pageFiles();

}  // namespace jvmc::cluster
