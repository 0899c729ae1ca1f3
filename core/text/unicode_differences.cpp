// Made by tests/data/tokenizer/unicode_differences.py; not to be edited by hand.
#include "core/text/unicode_differences.h"

namespace mformer {
namespace {

// clang-format off
constexpr ClassDifference kPosix[] = {
    {"alpha", "363-36f 897 c04 cf3 f82-f83 1c89-1c8a 1dd3-1de6 a7cb-a7cd a7da-a7dc 105c0-105f3 10d4a-10d65 10d69 10d6f-10d85 "
     "10ec2-10ec4 10efc 11080-11081 1123f-11241 11380-11389 1138b 1138e 11390-113b5 113b7-113c0 113c2 113c5 "
     "113c7-113ca 113cc-113cd 113d1 113d3 11bc0-11be0 11f00-11f10 11f12-11f3a 11f3e-11f40 1342f 13441-13446 "
     "13460-143fa 16100-1612e 16d40-16d6c 18cff 1b132 1b155 1df25-1df2a 1e030-1e06d 1e08f 1e4d0-1e4eb 1e5d0-1e5ed "
     "1e5f0 2b739 2ebf0-2ee5d 31350-323af",
     ""},
    {"digit", "10d40-10d49 116d0-116e3 11bf0-11bf9 11f50-11f59 16130-16139 16d70-16d79 1ccf0-1ccf9 1e4f0-1e4f9 1e5f1-1e5fa",
     ""},
    {"graph", "897 cf3 ece 1b4e-1b4f 1b7f 1c89-1c8a 2427-2429 2ffc-2fff 31e4-31e5 31ef a7cb-a7cd a7da-a7dc 105c0-105f3 "
     "10d40-10d65 10d69-10d85 10d8e-10d8f 10ec2-10ec4 10efc-10eff 1123f-11241 11380-11389 1138b 1138e 11390-113b5 "
     "113b7-113c0 113c2 113c5 113c7-113ca 113cc-113d5 113d7-113d8 113e1-113e2 116d0-116e3 11b00-11b09 11bc0-11be1 "
     "11bf0-11bf9 11f00-11f10 11f12-11f3a 11f3e-11f5a 1342f 13439-13455 13460-143fa 16100-16139 16d40-16d79 18cff "
     "1b132 1b155 1cc00-1ccf9 1cd00-1ceb3 1d2c0-1d2d3 1df25-1df2a 1e030-1e06d 1e08f 1e4d0-1e4f9 1e5d0-1e5fa 1e5ff "
     "1f6dc 1f774-1f776 1f77b-1f77f 1f7d9 1f8b2-1f8bb 1f8c0-1f8c1 1fa75-1fa77 1fa87-1fa89 1fa8f 1faad-1faaf "
     "1fabb-1fabf 1fac6 1face-1facf 1fada-1fadc 1fadf 1fae8-1fae9 1faf7-1faf8 1fbcb-1fbef 2b739 2ebf0-2ee5d "
     "31350-323af",
     ""},
    {"lower", "10fc 1c8a a7cd a7db a7f2-a7f4 ab69 10d70-10d85 1df25-1df2a 1e030-1e06d",
     ""},
    {"print", "897 cf3 ece 1b4e-1b4f 1b7f 1c89-1c8a 2427-2429 2ffc-2fff 31e4-31e5 31ef a7cb-a7cd a7da-a7dc 105c0-105f3 "
     "10d40-10d65 10d69-10d85 10d8e-10d8f 10ec2-10ec4 10efc-10eff 1123f-11241 11380-11389 1138b 1138e 11390-113b5 "
     "113b7-113c0 113c2 113c5 113c7-113ca 113cc-113d5 113d7-113d8 113e1-113e2 116d0-116e3 11b00-11b09 11bc0-11be1 "
     "11bf0-11bf9 11f00-11f10 11f12-11f3a 11f3e-11f5a 1342f 13439-13455 13460-143fa 16100-16139 16d40-16d79 18cff "
     "1b132 1b155 1cc00-1ccf9 1cd00-1ceb3 1d2c0-1d2d3 1df25-1df2a 1e030-1e06d 1e08f 1e4d0-1e4f9 1e5d0-1e5fa 1e5ff "
     "1f6dc 1f774-1f776 1f77b-1f77f 1f7d9 1f8b2-1f8bb 1f8c0-1f8c1 1fa75-1fa77 1fa87-1fa89 1fa8f 1faad-1faaf "
     "1fabb-1fabf 1fac6 1face-1facf 1fada-1fadc 1fadf 1fae8-1fae9 1faf7-1faf8 1fbcb-1fbef 2b739 2ebf0-2ee5d "
     "31350-323af",
     ""},
    {"punct", "24 2b 3c-3e 5e 60 7c 7e a2-a6 a8-a9 ac ae-b1 b4 b8 d7 f7 2c2-2c5 2d2-2df 2e5-2eb 2ed 2ef-2ff 375 384-385 3f6 "
     "482 58d-58f 606-608 60b 60e-60f 6de 6e9 6fd-6fe 7f6 7fe-7ff 888 9f2-9f3 9fa-9fb af1 b70 bf3-bfa c7f d4f d79 "
     "e3f f01-f03 f13 f15-f17 f1a-f1f f34 f36 f38 fbe-fc5 fc7-fcc fce-fcf fd5-fd8 109e-109f 1390-1399 166d 17db "
     "1940 19de-19ff 1b4e-1b4f 1b61-1b6a 1b74-1b7c 1b7f 1fbd 1fbf-1fc1 1fcd-1fcf 1fdd-1fdf 1fed-1fef 1ffd-1ffe 2044 "
     "2052 207a-207c 208a-208c 20a0-20c0 2100-2101 2103-2106 2108-2109 2114 2116-2118 211e-2123 2125 2127 2129 212e "
     "213a-213b 2140-2144 214a-214d 214f 218a-218b 2190-2307 230c-2328 232b-2429 2440-244a 249c-24e9 2500-2767 "
     "2794-27c4 27c7-27e5 27f0-2982 2999-29d7 29dc-29fb 29fe-2b73 2b76-2b95 2b97-2bff 2ce5-2cea 2e50-2e51 2e80-2e99 "
     "2e9b-2ef3 2f00-2fd5 2ff0-2fff 3004 3012-3013 3020 3036-3037 303e-303f 309b-309c 3190-3191 3196-319f 31c0-31e5 "
     "31ef 3200-321e 322a-3247 3250 3260-327f 328a-32b0 32c0-33ff 4dc0-4dff a490-a4c6 a700-a716 a720-a721 a789-a78a "
     "a828-a82b a836-a839 aa77-aa79 ab5b ab6a-ab6b fb29 fbb2-fbc2 fd40-fd4f fdcf fdfc-fdff fe62 fe64-fe66 fe69 ff04 "
     "ff0b ff1c-ff1e ff3e ff40 ff5c ff5e ffe0-ffe6 ffe8-ffee fffc-fffd 10137-1013f 10179-10189 1018c-1018e "
     "10190-1019c 101a0 101d0-101fc 10877-10878 10ac8 10d6e 10d8e-10d8f 113d4-113d5 113d7-113d8 1173f 11b00-11b09 "
     "11be1 11f43-11f4f 11fd5-11ff1 16b3c-16b3f 16b45 16d6d-16d6f 1bc9c 1cc00-1ccef 1cd00-1ceb3 1cf50-1cfc3 "
     "1d000-1d0f5 1d100-1d126 1d129-1d164 1d16a-1d16c 1d183-1d184 1d18c-1d1a9 1d1ae-1d1ea 1d200-1d241 1d245 "
     "1d300-1d356 1d6c1 1d6db 1d6fb 1d715 1d735 1d74f 1d76f 1d789 1d7a9 1d7c3 1d800-1d9ff 1da37-1da3a 1da6d-1da74 "
     "1da76-1da83 1da85-1da86 1e14f 1e2ff 1e5ff 1ecac 1ecb0 1ed2e 1eef0-1eef1 1f000-1f02b 1f030-1f093 1f0a0-1f0ae "
     "1f0b1-1f0bf 1f0c1-1f0cf 1f0d1-1f0f5 1f10d-1f1ad 1f1e6-1f202 1f210-1f23b 1f240-1f248 1f250-1f251 1f260-1f265 "
     "1f300-1f6d7 1f6dc-1f6ec 1f6f0-1f6fc 1f700-1f776 1f77b-1f7d9 1f7e0-1f7eb 1f7f0 1f800-1f80b 1f810-1f847 "
     "1f850-1f859 1f860-1f887 1f890-1f8ad 1f8b0-1f8bb 1f8c0-1f8c1 1f900-1fa53 1fa60-1fa6d 1fa70-1fa7c 1fa80-1fa89 "
     "1fa8f-1fac6 1face-1fadc 1fadf-1fae9 1faf0-1faf8 1fb00-1fb92 1fb94-1fbef",
     ""},
    {"upper", "1c89 a7cb-a7cc a7da a7dc 10d50-10d65",
     ""},
    {"word", "897 cf3 ece 1c89-1c8a a7cb-a7cd a7da-a7dc 105c0-105f3 10d40-10d65 10d69-10d6d 10d6f-10d85 10ec2-10ec4 "
     "10efc-10eff 1123f-11241 11380-11389 1138b 1138e 11390-113b5 113b7-113c0 113c2 113c5 113c7-113ca 113cc-113d3 "
     "113e1-113e2 116d0-116e3 11bc0-11be0 11bf0-11bf9 11f00-11f10 11f12-11f3a 11f3e-11f42 11f50-11f5a 1342f "
     "13440-13455 13460-143fa 16100-16139 16d40-16d6c 16d70-16d79 18cff 1b132 1b155 1ccf0-1ccf9 1df25-1df2a "
     "1e030-1e06d 1e08f 1e4d0-1e4f9 1e5d0-1e5fa 2b739 2ebf0-2ee5d 31350-323af",
     ""},
    {"alnum", "363-36f 897 c04 cf3 f82-f83 1c89-1c8a 1dd3-1de6 a7cb-a7cd a7da-a7dc 105c0-105f3 10d40-10d65 10d69 10d6f-10d85 "
     "10ec2-10ec4 10efc 11080-11081 1123f-11241 11380-11389 1138b 1138e 11390-113b5 113b7-113c0 113c2 113c5 "
     "113c7-113ca 113cc-113cd 113d1 113d3 116d0-116e3 11bc0-11be0 11bf0-11bf9 11f00-11f10 11f12-11f3a 11f3e-11f40 "
     "11f50-11f59 1342f 13441-13446 13460-143fa 16100-1612e 16130-16139 16d40-16d6c 16d70-16d79 18cff 1b132 1b155 "
     "1ccf0-1ccf9 1df25-1df2a 1e030-1e06d 1e08f 1e4d0-1e4eb 1e4f0-1e4f9 1e5d0-1e5ed 1e5f0-1e5fa 2b739 2ebf0-2ee5d "
     "31350-323af",
     ""},
};

constexpr ClassDifference kProperties[] = {
    {"alphabetic", "363-36f 897 c04 cf3 f82-f83 1c89-1c8a 1dd3-1de6 a7cb-a7cd a7da-a7dc 105c0-105f3 10d4a-10d65 10d69 10d6f-10d85 "
     "10ec2-10ec4 10efc 11080-11081 1123f-11241 11380-11389 1138b 1138e 11390-113b5 113b7-113c0 113c2 113c5 "
     "113c7-113ca 113cc-113cd 113d1 113d3 11bc0-11be0 11f00-11f10 11f12-11f3a 11f3e-11f40 1342f 13441-13446 "
     "13460-143fa 16100-1612e 16d40-16d6c 18cff 1b132 1b155 1df25-1df2a 1e030-1e06d 1e08f 1e4d0-1e4eb 1e5d0-1e5ed "
     "1e5f0 2b739 2ebf0-2ee5d 31350-323af",
     ""},
    {"arab", "897 10ec2-10ec4 10efc-10eff",
     ""},
    {"assigned", "897 cf3 ece 1b4e-1b4f 1b7f 1c89-1c8a 2427-2429 2ffc-2fff 31e4-31e5 31ef a7cb-a7cd a7da-a7dc 105c0-105f3 "
     "10d40-10d65 10d69-10d85 10d8e-10d8f 10ec2-10ec4 10efc-10eff 1123f-11241 11380-11389 1138b 1138e 11390-113b5 "
     "113b7-113c0 113c2 113c5 113c7-113ca 113cc-113d5 113d7-113d8 113e1-113e2 116d0-116e3 11b00-11b09 11bc0-11be1 "
     "11bf0-11bf9 11f00-11f10 11f12-11f3a 11f3e-11f5a 1342f 13439-13455 13460-143fa 16100-16139 16d40-16d79 18cff "
     "1b132 1b155 1cc00-1ccf9 1cd00-1ceb3 1d2c0-1d2d3 1df25-1df2a 1e030-1e06d 1e08f 1e4d0-1e4f9 1e5d0-1e5fa 1e5ff "
     "1f6dc 1f774-1f776 1f77b-1f77f 1f7d9 1f8b2-1f8bb 1f8c0-1f8c1 1fa75-1fa77 1fa87-1fa89 1fa8f 1faad-1faaf "
     "1fabb-1fabf 1fac6 1face-1facf 1fada-1fadc 1fadf 1fae8-1fae9 1faf7-1faf8 1fbcb-1fbef 2b739 2ebf0-2ee5d "
     "31350-323af",
     ""},
    {"bali", "1b4e-1b4f 1b7f",
     ""},
    {"c", "",
     "897 cf3 ece 1b4e-1b4f 1b7f 1c89-1c8a 2427-2429 2ffc-2fff 31e4-31e5 31ef a7cb-a7cd a7da-a7dc 105c0-105f3 "
     "10d40-10d65 10d69-10d85 10d8e-10d8f 10ec2-10ec4 10efc-10eff 1123f-11241 11380-11389 1138b 1138e 11390-113b5 "
     "113b7-113c0 113c2 113c5 113c7-113ca 113cc-113d5 113d7-113d8 113e1-113e2 116d0-116e3 11b00-11b09 11bc0-11be1 "
     "11bf0-11bf9 11f00-11f10 11f12-11f3a 11f3e-11f5a 1342f 13440-13455 13460-143fa 16100-16139 16d40-16d79 18cff "
     "1b132 1b155 1cc00-1ccf9 1cd00-1ceb3 1d2c0-1d2d3 1df25-1df2a 1e030-1e06d 1e08f 1e4d0-1e4f9 1e5d0-1e5fa 1e5ff "
     "1f6dc 1f774-1f776 1f77b-1f77f 1f7d9 1f8b2-1f8bb 1f8c0-1f8c1 1fa75-1fa77 1fa87-1fa89 1fa8f 1faad-1faaf "
     "1fabb-1fabf 1fac6 1face-1facf 1fada-1fadc 1fadf 1fae8-1fae9 1faf7-1faf8 1fbcb-1fbef 2b739 2ebf0-2ee5d "
     "31350-323af"},
    {"cased", "10fc 1c89-1c8a a7cb-a7cd a7da-a7dc a7f2-a7f4 ab69 10d50-10d65 10d70-10d85 1df25-1df2a 1e030-1e06d",
     ""},
    {"cf", "13439-1343f",
     ""},
    {"cn", "",
     "897 cf3 ece 1b4e-1b4f 1b7f 1c89-1c8a 2427-2429 2ffc-2fff 31e4-31e5 31ef a7cb-a7cd a7da-a7dc 105c0-105f3 "
     "10d40-10d65 10d69-10d85 10d8e-10d8f 10ec2-10ec4 10efc-10eff 1123f-11241 11380-11389 1138b 1138e 11390-113b5 "
     "113b7-113c0 113c2 113c5 113c7-113ca 113cc-113d5 113d7-113d8 113e1-113e2 116d0-116e3 11b00-11b09 11bc0-11be1 "
     "11bf0-11bf9 11f00-11f10 11f12-11f3a 11f3e-11f5a 1342f 13439-13455 13460-143fa 16100-16139 16d40-16d79 18cff "
     "1b132 1b155 1cc00-1ccf9 1cd00-1ceb3 1d2c0-1d2d3 1df25-1df2a 1e030-1e06d 1e08f 1e4d0-1e4f9 1e5d0-1e5fa 1e5ff "
     "1f6dc 1f774-1f776 1f77b-1f77f 1f7d9 1f8b2-1f8bb 1f8c0-1f8c1 1fa75-1fa77 1fa87-1fa89 1fa8f 1faad-1faaf "
     "1fabb-1fabf 1fac6 1face-1facf 1fada-1fadc 1fadf 1fae8-1fae9 1faf7-1faf8 1fbcb-1fbef 2b739 2ebf0-2ee5d "
     "31350-323af"},
    {"zyyy", "2427-2429 2ffc-2fff 31e4-31e5 31ef 1cc00-1ccf9 1cd00-1ceb3 1d2c0-1d2d3 1f6dc 1f774-1f776 1f77b-1f77f 1f7d9 "
     "1f8b2-1f8bb 1f8c0-1f8c1 1fa75-1fa77 1fa87-1fa89 1fa8f 1faad-1faaf 1fabb-1fabf 1fac6 1face-1facf 1fada-1fadc "
     "1fadf 1fae8-1fae9 1faf7-1faf8 1fbcb-1fbef",
     ""},
    {"cyrl", "1c89-1c8a 1e030-1e06d 1e08f",
     ""},
    {"dash", "10d6e",
     ""},
    {"deva", "11b00-11b09",
     ""},
    {"egyp", "1342f 13439-13455 13460-143fa",
     ""},
    {"emoji", "1f6dc 1fa75-1fa77 1fa87-1fa89 1fa8f 1faad-1faaf 1fabb-1fabf 1fac6 1face-1facf 1fada-1fadc 1fadf 1fae8-1fae9 "
     "1faf7-1faf8",
     ""},
    {"han", "2b739 2ebf0-2ee5d 31350-323af",
     ""},
    {"hira", "1b132",
     ""},
    {"ideo", "18cff 2b739 2ebf0-2ee5d 31350-323af",
     ""},
    {"knda", "cf3",
     ""},
    {"kana", "1b155",
     ""},
    {"kits", "18cff",
     ""},
    {"khoj", "1123f-11241",
     ""},
    {"l", "1c89-1c8a a7cb-a7cd a7da-a7dc 105c0-105f3 10d4a-10d65 10d6f-10d85 10ec2-10ec4 1123f-11240 11380-11389 1138b "
     "1138e 11390-113b5 113b7 113d1 113d3 11bc0-11be0 11f02 11f04-11f10 11f12-11f33 1342f 13441-13446 13460-143fa "
     "16100-1611d 16d40-16d6c 18cff 1b132 1b155 1df25-1df2a 1e030-1e06d 1e4d0-1e4eb 1e5d0-1e5ed 1e5f0 2b739 "
     "2ebf0-2ee5d 31350-323af",
     ""},
    {"lc", "1c89-1c8a a7cb-a7cd a7da-a7dc 10d50-10d65 10d70-10d85 1df25-1df2a",
     ""},
    {"lao", "ece",
     ""},
    {"latn", "a7cb-a7cd a7da-a7dc 1df25-1df2a",
     ""},
    {"ll", "1c8a a7cd a7db 10d70-10d85 1df25-1df2a",
     ""},
    {"lm", "10d4e 10d6f 16d40-16d42 16d6b-16d6c 1e030-1e06d 1e4eb",
     ""},
    {"lo", "105c0-105f3 10d4a-10d4d 10d4f 10ec2-10ec4 1123f-11240 11380-11389 1138b 1138e 11390-113b5 113b7 113d1 113d3 "
     "11bc0-11be0 11f02 11f04-11f10 11f12-11f33 1342f 13441-13446 13460-143fa 16100-1611d 16d43-16d6a 18cff 1b132 "
     "1b155 1e4d0-1e4ea 1e5d0-1e5ed 1e5f0 2b739 2ebf0-2ee5d 31350-323af",
     ""},
    {"lowercase", "10fc 1c8a a7cd a7db a7f2-a7f4 ab69 10d70-10d85 1df25-1df2a 1e030-1e06d",
     ""},
    {"lu", "1c89 a7cb-a7cc a7da a7dc 10d50-10d65",
     ""},
    {"m", "897 cf3 ece 10d69-10d6d 10efc-10eff 11241 113b8-113c0 113c2 113c5 113c7-113ca 113cc-113d0 113d2 113e1-113e2 "
     "11f00-11f01 11f03 11f34-11f3a 11f3e-11f42 11f5a 13440 13447-13455 1611e-1612f 1e08f 1e4ec-1e4ef 1e5ee-1e5ef",
     ""},
    {"math", "10d8e-10d8f",
     ""},
    {"mc", "cf3 113b8-113ba 113c2 113c5 113c7-113ca 113cc-113cd 113cf 1171e 11f03 11f34-11f35 11f3e-11f3f 11f41 "
     "1612a-1612c",
     ""},
    {"mn", "897 ece 10d69-10d6d 10efc-10eff 11241 113bb-113c0 113ce 113d0 113d2 113e1-113e2 11f00-11f01 11f36-11f3a 11f40 "
     "11f42 11f5a 13440 13447-13455 1611e-16129 1612d-1612f 1e08f 1e4ec-1e4ef 1e5ee-1e5ef",
     "1171e"},
    {"mymr", "116d0-116e3",
     ""},
    {"n", "10d40-10d49 116d0-116e3 11bf0-11bf9 11f50-11f59 16130-16139 16d70-16d79 1ccf0-1ccf9 1d2c0-1d2d3 1e4f0-1e4f9 "
     "1e5f1-1e5fa",
     ""},
    {"nd", "10d40-10d49 116d0-116e3 11bf0-11bf9 11f50-11f59 16130-16139 16d70-16d79 1ccf0-1ccf9 1e4f0-1e4f9 1e5f1-1e5fa",
     ""},
    {"no", "1d2c0-1d2d3",
     ""},
    {"p", "1b4e-1b4f 1b7f 10d6e 113d4-113d5 113d7-113d8 11b00-11b09 11be1 11f43-11f4f 16d6d-16d6f 1e5ff",
     ""},
    {"pd", "10d6e",
     ""},
    {"po", "1b4e-1b4f 1b7f 113d4-113d5 113d7-113d8 11b00-11b09 11be1 11f43-11f4f 16d6d-16d6f 1e5ff",
     ""},
    {"s", "2427-2429 2ffc-2fff 31e4-31e5 31ef 10d8e-10d8f 1cc00-1ccef 1cd00-1ceb3 1f6dc 1f774-1f776 1f77b-1f77f 1f7d9 "
     "1f8b2-1f8bb 1f8c0-1f8c1 1fa75-1fa77 1fa87-1fa89 1fa8f 1faad-1faaf 1fabb-1fabf 1fac6 1face-1facf 1fada-1fadc "
     "1fadf 1fae8-1fae9 1faf7-1faf8 1fbcb-1fbef",
     ""},
    {"sm", "10d8e-10d8f",
     ""},
    {"so", "2427-2429 2ffc-2fff 31e4-31e5 31ef 1cc00-1ccef 1cd00-1ceb3 1f6dc 1f774-1f776 1f77b-1f77f 1f7d9 1f8b2-1f8bb "
     "1f8c0-1f8c1 1fa75-1fa77 1fa87-1fa89 1fa8f 1faad-1faaf 1fabb-1fabf 1fac6 1face-1facf 1fada-1fadc 1fadf "
     "1fae8-1fae9 1faf7-1faf8 1fbcb-1fbef",
     ""},
    {"uideo", "2b739 2ebf0-2ee5d 31350-323af",
     ""},
    {"uppercase", "1c89 a7cb-a7cc a7da a7dc 10d50-10d65",
     ""},
};

constexpr ClassDifference kClasses[] = {
    {"numeric", "10d40-10d49 116d0-116e3 11bf0-11bf9 11de0-11de9 16130-16139 16d70-16d79 16ff4-16ff6 1ccf0-1ccf9 1e5f1-1e5fa",
     ""},
    {"word", "897 1c89-1c8a 200c-200d 24b6-24e9 a7cb-a7cd a7da-a7dc 105c0-105f3 10d40-10d65 10d69-10d6d 10d6f-10d85 "
     "10ec2-10ec4 10efc 11380-11389 1138b 1138e 11390-113b5 113b7-113c0 113c2 113c5 113c7-113ca 113cc-113d3 "
     "113e1-113e2 116d0-116e3 11bc0-11be0 11bf0-11bf9 11f5a 13460-143fa 16100-16139 16d40-16d6c 16d70-16d79 18cff "
     "1ccf0-1ccf9 1e5d0-1e5fa 1f130-1f149 1f150-1f169 1f170-1f189 2ebf0-2ee5d",
     ""},
    {"punctuation", "24 2b 3c-3e 5e 60 7c 7e 166d 111c9",
     "61d 9fd a76 c77 c84 1b7d-1b7e 2e43-2e4f 2e52-2e5d 10ead 10f55-10f59 10f86-10f89 1144b-1144f 1145a-1145b 1145d "
     "11660-1166c 116b9 1183b 11944-11946 119e2 11a3f-11a46 11a9a-11a9c 11a9e-11aa2 11b00-11b09 11c41-11c45 "
     "11c70-11c71 11ef7-11ef8 11f43-11f4f 11fff 12ff1-12ff2 16e97-16e9a 16fe2 1e95e-1e95f"},
    {"mark", "1cf2-1cf3",
     "7fd 898-89f 8ca-8d3 9fe afa-aff b55 c04 c3c cf3 d00 d3b-d3c d81 eba ece 1715 180f 1abf-1ace 1cf7 1df6-1dfa "
     "a82c a8ff 10d24-10d27 10eab-10eac 10efd-10eff 10f46-10f50 10f82-10f85 11070 11073-11074 110c2 11145-11146 "
     "111c9 111ce-111cf 11241 1133b 1145e 1182c-1183a 11930-11935 11937-11938 1193b-1193e 11940 11942-11943 "
     "119d1-119d7 119da-119e0 119e4 11a01-11a0a 11a33-11a39 11a3b-11a3e 11a47 11a51-11a5b 11a8a-11a99 11d31-11d36 "
     "11d3a 11d3c-11d3d 11d3f-11d45 11d47 11d8a-11d8e 11d90-11d91 11d93-11d97 11ef3-11ef6 11f00-11f01 11f03 "
     "11f34-11f3a 11f3e-11f42 13440 13447-13455 16f4f 16f7f-16f87 16fe4 16ff0-16ff1 1cf00-1cf2d 1cf30-1cf46 1e08f "
     "1e130-1e136 1e2ae 1e2ec-1e2ef 1e4ec-1e4ef"},
    {"inert", "7fd 898-89f 8ca-8d3 9fe c3c d3b-d3c eba 1715 1abf-1ace 1df6-1dfa 32ff a7f2-a7f4 a82c ab69 10781-10785 "
     "10787-107b0 107b2-107ba 10d24-10d27 10eab-10eac 10efd-10eff 10f46-10f50 10f82-10f85 11070 1133b 1145e "
     "11839-1183a 11938 1193d-1193e 11943 119e0 11a34 11a47 11a99 11d42 11d44-11d45 11d97 11f41-11f42 16ff0-16ff1 "
     "1e030-1e06d 1e08f 1e130-1e136 1e2ae 1e2ec-1e2ef 1e4ec-1e4ef 1f16c 1fbf0-1fbf9",
     ""},
};

constexpr LetterPair kLowercase[] = {
    {0x1c89, 0x1c8a}, {0xa7cb, 0x264}, {0xa7cc, 0xa7cd}, {0xa7ce, 0xa7cf}, {0xa7d2, 0xa7d3}, {0xa7d4, 0xa7d5},
    {0xa7da, 0xa7db}, {0xa7dc, 0x19b}, {0x10d50, 0x10d70}, {0x10d51, 0x10d71}, {0x10d52, 0x10d72}, {0x10d53, 0x10d73},
    {0x10d54, 0x10d74}, {0x10d55, 0x10d75}, {0x10d56, 0x10d76}, {0x10d57, 0x10d77}, {0x10d58, 0x10d78}, {0x10d59, 0x10d79},
    {0x10d5a, 0x10d7a}, {0x10d5b, 0x10d7b}, {0x10d5c, 0x10d7c}, {0x10d5d, 0x10d7d}, {0x10d5e, 0x10d7e}, {0x10d5f, 0x10d7f},
    {0x10d60, 0x10d80}, {0x10d61, 0x10d81}, {0x10d62, 0x10d82}, {0x10d63, 0x10d83}, {0x10d64, 0x10d84}, {0x10d65, 0x10d85},
    {0x16ea0, 0x16ebb}, {0x16ea1, 0x16ebc}, {0x16ea2, 0x16ebd}, {0x16ea3, 0x16ebe}, {0x16ea4, 0x16ebf}, {0x16ea5, 0x16ec0},
    {0x16ea6, 0x16ec1}, {0x16ea7, 0x16ec2}, {0x16ea8, 0x16ec3}, {0x16ea9, 0x16ec4}, {0x16eaa, 0x16ec5}, {0x16eab, 0x16ec6},
    {0x16eac, 0x16ec7}, {0x16ead, 0x16ec8}, {0x16eae, 0x16ec9}, {0x16eaf, 0x16eca}, {0x16eb0, 0x16ecb}, {0x16eb1, 0x16ecc},
    {0x16eb2, 0x16ecd}, {0x16eb3, 0x16ece}, {0x16eb4, 0x16ecf}, {0x16eb5, 0x16ed0}, {0x16eb6, 0x16ed1}, {0x16eb7, 0x16ed2},
    {0x16eb8, 0x16ed3},
};
// clang-format on

}  // namespace

std::span<const ClassDifference> posix_differences() {
  return kPosix;
}

std::span<const ClassDifference> property_differences() {
  return kProperties;
}

std::string_view refused_properties() {
  return "ci cwcf cwcm cwl cwt cwu dia ebase epres ext gr_base gr_ext gr_link idc ids idsb oalpha ogr_ext oidc olower "
         "sd sterm term xidc xids zzzz";
}

const ClassDifference& class_difference(std::string_view name) {
  for (const ClassDifference& each : kClasses) {
    if (each.name == name) return each;
  }
  return kClasses[0];
}

std::span<const LetterPair> lowercase_differences() {
  return kLowercase;
}

}  // namespace mformer
