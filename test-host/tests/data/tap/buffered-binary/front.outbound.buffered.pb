
Ž
û


:authorityapp

:path/plain

:methodGET

:schemehttp


x-dup1


x-dup2
	
x-empty


x-dup1

x-forwarded-protohttp
4
x-request-id$6220bfed-c8e7-4093-9c54-7ec1787671a1
'
x-envoy-expected-rq-timeout-ms15000"ªšŽØð âP½

:status200


set-cookiea=1


set-cookieb=2

content-length5
"
x-envoy-upstream-service-time0
%
dateMon, 23 Nov 2026 00:47:38 GMT

serverenvoy
plain"ªšŽØ€ç¸Q&

	127.0.0.1½¯
	127.0.0.1¦à"&

	127.0.0.1Â¥
	127.0.0.1ÅŸ