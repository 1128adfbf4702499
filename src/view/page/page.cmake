# Makes page_pieces.c, the report page as bytes, from the files of this folder and the Debian packages node-d3,
# libjs-katex and fonts-katex (tools/deps). Sets ESPALIER_PAGE_SOURCES, which belong to the folder view.
find_package(Python3 3.7 REQUIRED COMPONENTS Interpreter)
set(ESPALIER_D3 /usr/share/nodejs/d3/dist/d3.min.js CACHE FILEPATH "d3, version 5, minified")
set(ESPALIER_KATEX /usr/share/javascript/katex CACHE PATH "folder with katex.min.js, katex.min.css and fonts/")
foreach(file ${ESPALIER_D3} ${ESPALIER_KATEX}/katex.min.js ${ESPALIER_KATEX}/katex.min.css)
  if(NOT EXISTS ${file})
    message(FATAL_ERROR "The report page needs ${file}: install node-d3, libjs-katex and fonts-katex (make deps), or "
                        "name the place with -DESPALIER_D3= and -DESPALIER_KATEX=")
  endif()
endforeach()
file(GLOB espalier_page_files CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/*.html ${CMAKE_CURRENT_LIST_DIR}/*.css
     ${CMAKE_CURRENT_LIST_DIR}/*.js)
set(ESPALIER_PAGE_SOURCES ${CMAKE_CURRENT_BINARY_DIR}/page_pieces.c)
add_custom_command(OUTPUT ${ESPALIER_PAGE_SOURCES}
                   COMMAND Python3::Interpreter ${CMAKE_SOURCE_DIR}/tools/embed-page ${CMAKE_CURRENT_LIST_DIR}
                           ${ESPALIER_D3} ${ESPALIER_KATEX} ${ESPALIER_PAGE_SOURCES}
                   DEPENDS ${CMAKE_SOURCE_DIR}/tools/embed-page ${espalier_page_files} ${ESPALIER_D3}
                           ${ESPALIER_KATEX}/katex.min.js ${ESPALIER_KATEX}/katex.min.css
                   COMMENT "Embedding the report page" VERBATIM)
