{
  "targets": [
    {
      "target_name": "esper_fastpath",
      "sources": [
        "<!@(node -p \"require('fs').readFileSync('native/sources.txt','utf8').trim().split('\\n').map(f=>'native/'+f).join(' ')\")",
        "native/addon/addon.cc",
        "native/addon/convert.cc",
        "native/addon/cursor_object.cc",
        "native/addon/errors.cc",
        "native/addon/flag_members.cc",
        "native/addon/flag_object.cc",
        "native/addon/flag_watch.cc",
        "native/addon/histogram_object.cc",
        "native/addon/loop_wake.cc",
        "native/addon/memory_object.cc"
      ],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": ["NAPI_VERSION=8", "NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS", "NODE_ADDON_API_DISABLE_DEPRECATED", "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"],
      "cflags_cc": ["-std=c++20", "-O2", "-Wall", "-Wextra", "-fno-exceptions", "-fvisibility=hidden"],
      "conditions": [["OS=='linux'", { "libraries": ["-lrt"] }]],
      "cflags_cc!": ["-std=gnu++17", "-std=gnu++20"],
      "xcode_settings": { "CLANG_CXX_LANGUAGE_STANDARD": "c++20", "GCC_ENABLE_CPP_EXCEPTIONS": "NO" }
    }
  ]
}
