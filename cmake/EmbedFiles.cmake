# cmake -DOUT=page_files.cpp -DFOLDER=web -DFILES=a.js;b.css -P EmbedFiles.cmake: C++ source with the files as bytes, for
# pageFiles() (cluster/dashboard/page_files.h). A file is called "/" and its last name.
set(arrays "")
set(table "")
set(number 0)
foreach(file ${FILES})
  file(READ "${FOLDER}/${file}" hex HEX)
  string(LENGTH "${hex}" digits)
  math(EXPR bytes "${digits} / 2")
  string(REGEX REPLACE "(..)" "\\\\x\\1" escaped "${hex}")
  # Adjacent literals: compilers limit the length of a line less than that of a string.
  string(REGEX REPLACE "((\\\\x..)(\\\\x..)?(\\\\x..)?(\\\\x..)?(\\\\x..)?(\\\\x..)?(\\\\x..)?(\\\\x..)?)" "\"\\1\"\n" escaped "${escaped}")
  get_filename_component(name "${file}" NAME)
  string(APPEND arrays "constexpr char kFile${number}[] =\n${escaped};\n")
  string(APPEND table "    {\"/${name}\", {kFile${number}, ${bytes}}},\n")
  math(EXPR number "${number} + 1")
endforeach()
file(WRITE "${OUT}" "// Made by cmake/EmbedFiles.cmake.
#include \"cluster/dashboard/page_files.h\"

namespace jvmc::cluster {

namespace {

${arrays}
constexpr PageFile kFiles[] = {
${table}};

}  // namespace

std::span<const PageFile> pageFiles() {
  return kFiles;
}

}  // namespace jvmc::cluster
")
