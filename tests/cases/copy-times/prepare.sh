touch -d @1000000000 f; touch -d @1000000001 d/sub/g; touch -d @1000000002 d/sub; touch -d @1000000003 d
