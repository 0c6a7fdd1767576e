
   # An indented comment
	from scratch as One
label a=1 b="two words" c='it''s' \
      d=e\ f

RUN echo one \

    two
RUN ["not", 'json']
RUN [ "$x" = y ] || true
ARG lonely
ARG a=b c="d e" f
healthcheck NONE
RUN echo "a \
b"
EXPOSE 1000-2000/tcp
FROM One
USER nobody
