# Writes files into a C++ source as constants, byte by byte as they are:
#   cmake -DOUTPUT=pages.cpp -DHEADER=… -DNAMESPACE=fl::pages "-DFILES=kHtml=a.html;kStyle=b.css" -P EmbedFiles.cmake
set(source "// Made by cmake/EmbedFiles.cmake.\n#include \"${HEADER}\"\n\nnamespace ${NAMESPACE} {\n\n")
foreach(entry IN LISTS FILES)
  string(FIND "${entry}" "=" at)
  string(SUBSTRING "${entry}" 0 ${at} name)
  math(EXPR at "${at} + 1")
  string(SUBSTRING "${entry}" ${at} -1 file)
  file(READ "${file}" hex HEX)
  string(LENGTH "${hex}" digits)
  math(EXPR size "${digits} / 2")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  string(REGEX REPLACE "((0x[0-9a-f][0-9a-f],){32})" "\\1\n" bytes "${bytes}")
  string(APPEND source "namespace {\nconstexpr unsigned char ${name}_bytes[] = {\n${bytes}0};\n}  // namespace\n"
                       "extern const std::string_view ${name}{reinterpret_cast<const char*>(${name}_bytes), ${size}};\n\n")
endforeach()
string(APPEND source "}  // namespace ${NAMESPACE}\n")
file(WRITE "${OUTPUT}" "${source}")
